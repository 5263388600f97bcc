"""What a lender's systems do while processes are killed: they ask, again in the same words until they are answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import asdict, dataclass, field
from datetime import date
from random import Random
from typing import Any, Final
from uuid import UUID

import httpx

from domain.calendars import add_banking_days
from domain.money import format_amount
from infra.calendar import bank_holidays
from infra.ids import new_id
from tests.api.lending import EXAMPLE_TERMS, make_borrower, make_loan, make_program
from tests.api.paying import WITH_NUMBER, path_of
from tests.crash.lender import Lender
from tests.crash.watched_api import CALL
from tests.domain.ach_files import ORIGINATOR
from tests.workflows.platform import eventually

OPENED: Final = date(2020, 10, 5)
"""The business date on which a lender begins."""
_AWAY: Final = (409, 503)
_PAUSE: Final = 0.25
_DAY_SECONDS: Final = 240.0
"""The longest a day may take while processes are killed again and again."""


def banking_day(number: int) -> date:
    """The banking day so many after the first date."""
    return add_banking_days(OPENED, number, bank_holidays()) if number else OPENED


@dataclass(slots=True)
class Asked:
    """A payment that was asked for, and (once there is one) the answer."""

    loan_id: UUID
    external_id: str
    amount: int
    with_key: bool
    payment_id: UUID | None = None
    reversed: bool = False


@dataclass(slots=True)
class Load:
    """A lender under load. `by_file`: its drafts go to the bank as files; `heard`: the answers by status, and what was no
    answer; `tasks`: what is under way."""

    lender: Lender
    client: httpx.AsyncClient
    random: Random
    by_file: bool = False
    paying: list[UUID] = field(default_factory=list)
    drafted: list[tuple[UUID, UUID]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    heard: Counter[str] = field(default_factory=Counter)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    moved: asyncio.Task[Any] | None = None
    day: int = 0
    enrolled: int = 0

    async def prepare(self, days: int, paying: int = 3) -> None:
        """Loans to pay by hand, and a loan to draft for each banking day to come, with an account to draft it from."""
        if self.by_file:
            rail = {"rail": "nacha", "cutoff_time": "16:00", "originator": asdict(ORIGINATOR)}
            chosen = await self.client.put("/api/v1/tenant/rail", json=rail)
            assert chosen.status_code == 200, chosen.text
        program = await make_program(self.client, {**EXAMPLE_TERMS, "nsf_fee": "25.00"})
        body = {"program_id": program, "origination_date": "2020-09-09"}
        firsts = [date(2020, 10, 9)] * paying + [banking_day(number) for number in range(1, days + 1)]
        for number, first in enumerate(firsts):
            borrower = await make_borrower(self.client, email=f"b-{new_id().hex}@example.com")
            wanted = {**body, "borrower_id": borrower, "first_payment_date": first.isoformat()}
            loan = await make_loan(self.client, disbursed=False, **wanted)
            loan_id = UUID(loan["id"])
            done = await self.client.post(f"/api/v1/loans/{loan_id}/disburse", json={"date": "2020-09-09"})
            assert done.status_code == 200, done.text
            if number < paying:
                self.paying.append(loan_id)
                continue
            account = await self.client.post(path_of(borrower), json=WITH_NUMBER)
            assert account.status_code == 201, account.text
            self.drafted.append((loan_id, UUID(account.json()["id"])))

    async def ask(self, path: str, body: dict[str, Any], *, key: str | None, name: str) -> dict[str, Any]:
        """POST, again and again in the same words, until it is answered. Fails the test for any other answer than yes.

        `key`: the Idempotency-Key; without one it is the body that says that this is the same request.
        """
        headers = {CALL: name} | ({"Idempotency-Key": key} if key else {})
        while True:
            try:
                answer = await self.client.post(f"/api/v1{path}", json=body, headers=headers)
            except httpx.TransportError as error:
                self.heard[type(error).__name__] += 1
            else:
                self.heard[str(answer.status_code)] += 1
                if answer.is_success:
                    said: dict[str, Any] = answer.json()
                    return said
                assert answer.status_code in _AWAY, (path, answer.status_code, answer.text)
                if answer.status_code == 409:
                    assert answer.json()["code"] == "request_in_flight", (path, answer.text)
            await asyncio.sleep(_PAUSE)

    async def see(self, path: str) -> dict[str, Any]:
        """GET, again until it is answered."""
        while True:
            try:
                answer = await self.client.get(f"/api/v1{path}")
            except httpx.TransportError:
                await asyncio.sleep(_PAUSE)
                continue
            if answer.is_success:
                said: dict[str, Any] = answer.json()
                return said
            assert answer.status_code == 503, (path, answer.status_code, answer.text)
            await asyncio.sleep(_PAUSE)

    async def day_is_over(self) -> None:
        """Wait until the last turn's day has come to its end, so that no backlog grows while processes are killed."""
        if self.moved is not None:
            await self.moved

    def turn(self, payments: int) -> None:
        """One more turn, in the background: payments, one of which is reversed; an enrolment; and the next banking day with
        its drafts."""
        for number in range(payments):
            amount = self.random.randint(1_00, 40_00)
            asked = Asked(self.random.choice(self.paying), new_id().hex, amount, with_key=bool(self.random.getrandbits(1)))
            asked.reversed = number == 0
            self.asked.append(asked)
            self._begin(self._pay(asked))
        self.moved = self._begin(self._next_day())

    async def done(self) -> None:
        """Wait until everything that was asked is answered. Fails the test where one was refused."""
        while self.tasks:
            await asyncio.gather(*self.tasks)

    def check(self) -> None:
        """Fails the test at once where something was refused."""
        for task in [task for task in self.tasks if task.done()]:
            task.result()
            self.tasks.discard(task)

    def _begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(lambda ended: None if ended.exception() else self.tasks.discard(ended))
        return task

    async def pay(self, asked: Asked) -> UUID:
        """Ask for a payment, again in the same words if this is not the first time."""
        body = {"amount": format_amount(asked.amount), "payment_method": "check", "external_id": asked.external_id}
        key = asked.external_id if asked.with_key else None
        answer = await self.ask(f"/loans/{asked.loan_id}/payments", body, key=key, name=asked.external_id)
        return UUID(answer["id"])

    async def reverse(self, asked: Asked) -> dict[str, Any]:
        """Ask for the payment to be reversed."""
        body, key = {"reason": "nsf", "assess_nsf_fee": True}, f"reverse-{asked.external_id}"
        return await self.ask(f"/payments/{asked.payment_id}/reverse", body, key=key, name=key)

    async def _pay(self, asked: Asked) -> None:
        asked.payment_id = await self.pay(asked)
        if asked.reversed:
            await self.reverse(asked)

    async def _enrol(self) -> None:
        if self.enrolled < len(self.drafted):
            loan_id, account = self.drafted[self.enrolled]
            self.enrolled += 1
            key = f"enrol-{loan_id}"
            await self.ask(f"/loans/{loan_id}/autopay", {"payment_instrument_id": str(account)}, key=key, name=key)

    async def _next_day(self) -> None:
        for _ in range(2 if self.day == 0 else 1):  # a loan is enrolled on the day before its first draft
            await self._enrol()
        self.day += 1
        to_date = banking_day(self.day).isoformat()
        key = f"advance-{self.lender.tenant}-{to_date}"
        advance = await self.ask("/business-date/advance", {"to_date": to_date}, key=key, name=key)
        await eventually(lambda: self._is_done(advance), f"the date is moved to {to_date}", _DAY_SECONDS)

    async def _is_done(self, advance: dict[str, Any]) -> bool:
        return bool((await self.see(f"/business-date/advances/{advance['id']}"))["status"] == "done")
