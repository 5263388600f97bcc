"""Many who ask the same at the same time share an answer, which is never older than their question."""

from __future__ import annotations

import asyncio

import pytest

from infra.shared import Shared


class Register:
    """Looks up how often it was asked, and takes its time."""

    def __init__(self) -> None:
        self.asked = 0
        self.go_on = asyncio.Event()

    async def look_up(self, key: str) -> str:
        self.asked += 1
        number = self.asked
        await self.go_on.wait()
        if key == "bad":
            raise LookupError(key)
        return f"{key} {number}"


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_asks_while_an_answer_is_under_way_gets_the_next() -> None:
    register = Register()
    shared = Shared(register.look_up)
    first = asyncio.create_task(shared.of("a"))
    await settle()  # it is under way
    later = [asyncio.create_task(shared.of("a")) for _ in range(5)]
    other = asyncio.create_task(shared.of("b"))
    await settle()
    register.go_on.set()
    assert await first == "a 1"
    assert await asyncio.gather(*later) == ["a 3"] * 5
    assert await other == "b 2"
    assert await shared.of("a") == "a 4"


async def test_who_stops_waiting_does_not_stop_the_others() -> None:
    register = Register()
    shared = Shared(register.look_up)
    one, other = asyncio.create_task(shared.of("a")), asyncio.create_task(shared.of("a"))
    await settle()
    one.cancel()
    register.go_on.set()
    assert await other == "a 1"
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_what_is_wrong_is_everybodys_answer_and_the_next_asks_anew() -> None:
    register = Register()
    register.go_on.set()
    shared = Shared(register.look_up)
    for _ in range(2):
        found = await asyncio.gather(shared.of("bad"), shared.of("bad"), return_exceptions=True)
        assert [type(each) for each in found] == [LookupError] * 2
    assert register.asked == 2
