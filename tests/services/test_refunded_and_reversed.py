"""A payment that was refunded in part, and reversed: no more goes out than came in, in every order, and the books say so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from itertools import permutations
from uuid import UUID

import pytest

from domain.errors import Refusal, WrongState
from domain.events import Chargeback
from infra.db.uow import UnitOfWork
from services import reversals
from services.actions import act
from services.corrections import backdate
from services.payouts import Refund, cancel, refund
from tests.domain.loans import LEVEL
from tests.services.lending import UowOf, accounts_of, counts, loan_row, pay
from tests.services.refunding import THURSDAY, As, ask, assert_balanced, limit, pay_out
from tests.services.reversing import SECOND, UowBy, asked, preview_reverse, reverse

EARLIER = date(2020, 10, 7)
THIS, THAT = LEVEL + 100_00, LEVEL + 200_00
"""The payment that is refunded, which leaves 100.00 unapplied, and another one of the day, which is unapplied altogether."""


@pytest.fixture
async def two(uow_of: UowOf, tenant: UUID, paid: tuple[UUID, UUID]) -> tuple[UUID, UUID, UUID]:
    """A loan, the payment that is refunded, and another one."""
    return *paid, (await pay(uow_of, tenant, paid[0], THAT, THURSDAY)).id


async def refused(as_: As, attempt: Callable[[UnitOfWork], Awaitable[object]]) -> WrongState:
    """What an attempt is refused for, which writes nothing."""
    async with as_() as uow:
        before = await counts(uow)
        with pytest.raises(WrongState) as refusal:
            await attempt(uow)
        assert await counts(uow) == before
    return refusal.value


@pytest.mark.parametrize("amount", [60_00, 150_00])
async def test_it_is_refused_though_other_payments_left_unapplied_funds(
    one: As, uow_of: UowOf, tenant: UUID, paid: tuple[UUID, UUID], amount: int
) -> None:
    """Also where the refund went beyond unapplied funds, and is withheld from its payment."""
    loan_id, payment_id = paid
    payout_id = await ask(one, payment_id, amount, override=True)
    other = (await pay(uow_of, tenant, loan_id, THAT, THURSDAY)).id
    attempts: list[Callable[[UnitOfWork], Awaitable[object]]] = [
        lambda uow: preview_reverse(uow, payment_id),
        lambda uow: reversals.request(uow, payment_id, "nsf"),
    ]
    for attempt in attempts:
        refusal = await refused(one, attempt)
        assert (refusal.code, refusal.state, refusal.allowed) == ("payment_refunded", "completed", ("cancel the refund",))
        assert f"refund {payout_id} of {amount // 100}.00" in refusal.detail
    async with one() as uow:
        await reverse(uow, other, "nsf")
        await assert_balanced(uow, loan_id)


async def test_what_the_rail_has_is_not_cancelled_and_what_the_bank_takes_back_is_a_chargeback(
    one: As, two: tuple[UUID, UUID, UUID]
) -> None:
    loan_id, payment_id, _ = two
    sent, waiting = await ask(one, payment_id, 40_00), await ask(one, payment_id, 20_00)
    await pay_out(one, sent)
    refusal = await refused(one, lambda uow: reversals.request(uow, payment_id, "nsf"))
    assert (refusal.code, refusal.allowed) == ("payment_refunded", ("chargeback",))
    assert f"refund {sent} of 40.00, refund {waiting} of 20.00" in refusal.detail
    async with one() as uow:
        await act(uow, loan_id, lambda name: Chargeback(name, str(payment_id), THIS), None, "the cheque bounced")
        await uow.commit()
    await pay_out(one, waiting)
    async with one() as uow:
        await assert_balanced(uow, loan_id)
        net = await accounts_of(uow, loan_id)
        assert (net[1000] + 10_000_00, net[1010]) == (THAT - 40_00 - 20_00, 0), "the bank took the whole payment"
        loan = await loan_row(uow, loan_id)
        assert (net[1100], net[2000]) == (loan["principal_balance"], -loan["unapplied_balance"])


async def test_a_refund_that_came_while_the_reversal_waited_is_named_at_the_approval(
    uow_of: UowOf, uow_by: UowBy, tenant: UUID, one: As, two: tuple[UUID, UUID, UUID]
) -> None:
    _, payment_id, _ = two
    await limit(uow_of, tenant, 100_00)
    await asked(uow_by, payment_id)
    payout_id = await ask(one, payment_id, 60_00)

    def second() -> UnitOfWork:
        return uow_by(SECOND)

    refusal = await refused(second, lambda uow: reversals.approve(uow, payment_id))
    assert (refusal.code, str(payout_id) in refusal.detail) == ("payment_refunded", True)
    async with one() as uow:
        await cancel(uow, payout_id, "the cheque bounced")
        await uow.commit()
    async with second() as uow:
        assert (await reversals.approve(uow, payment_id)).corrected is not None


REFUSED = {
    ("refund", "reverse"): "payment_refunded",
    ("reverse", "refund"): "payment_wrong_state",
    ("reverse", "backdate"): "wrong_state",
    ("reverse other", "backdate other"): "wrong_state",
}
"""What is refused of two steps, the second after the first."""
OTHERS = ("reverse other", "backdate", "backdate other")
ORDERS = [order for other in OTHERS for order in permutations(("refund", "reverse", other))]


class Desk:
    """Somebody who takes the steps; each is refused, with nothing written, or done."""

    def __init__(self, as_: As, loan_id: UUID, payment_id: UUID, other: UUID, amount: int) -> None:
        self.as_, self.loan_id, self.payment_id, self.other, self.amount = as_, loan_id, payment_id, other, amount
        self.payout_id: UUID | None = None

    async def take(self, step: str) -> str | None:
        """Returns the code with which it was refused."""
        try:
            async with self.as_() as uow:
                await self._do(uow, step)
                await uow.commit()
        except Refusal as refusal:
            return refusal.code
        finally:
            async with self.as_() as uow:
                await assert_balanced(uow, self.loan_id)
        return None

    async def _do(self, uow: UnitOfWork, step: str) -> None:
        match step:
            case "refund":
                self.payout_id = await refund(uow, Refund(self.payment_id, self.amount, "paid twice", True))
            case "reverse":
                await reverse(uow, self.payment_id, "nsf")
            case "reverse other":
                await reverse(uow, self.other, "nsf")
            case "backdate":
                await backdate(uow, self.payment_id, EARLIER)
            case "backdate other":
                await backdate(uow, self.other, EARLIER)
            case "cancel":
                assert self.payout_id is not None
                await cancel(uow, self.payout_id, "asked by mistake")


@pytest.mark.parametrize("amount", [60_00, 350_00])
@pytest.mark.parametrize("order", ORDERS, ids=", ".join)
async def test_in_every_order_no_more_goes_out_than_came_in(
    one: As, two: tuple[UUID, UUID, UUID], order: tuple[str, ...], amount: int
) -> None:
    """After each step the books balance; the cash is what came in and was not taken back or sent. The second
    refund takes also what the other one left or, where that is gone, goes beyond unapplied funds."""
    desk = Desk(one, *two, amount)
    needs_other = {("refund", "reverse other"): "later_event_impossible"} if amount == 350_00 else {}
    done: list[str] = []
    for step in order:
        code = await desk.take(step)
        known = {**REFUSED, **needs_other}
        assert code == next((known[before, step] for before in done if (before, step) in known), None)
        done += [step] if code is None else []
    gone = amount if "refund" in done else 0
    assert not ("reverse" in done and gone), "more would have gone out of this payment than came in"
    if gone:
        assert desk.payout_id is not None
        await pay_out(one, desk.payout_id)
    kept = (0 if "reverse" in done else THIS) + (0 if "reverse other" in done else THAT)
    async with one() as uow:
        await assert_balanced(uow, desk.loan_id)
        net = await accounts_of(uow, desk.loan_id)
        assert (net[1000] + 10_000_00, net[1010], net[1130], net[2010]) == (kept - gone, 0, 0, 0)


async def test_once_the_refund_is_cancelled_it_is_reversed(one: As, two: tuple[UUID, UUID, UUID]) -> None:
    desk = Desk(one, *two, 350_00)
    for step, code in (
        ("refund", None),
        ("backdate", None),
        ("reverse", "payment_refunded"),
        ("cancel", None),
        ("reverse", None),
    ):
        assert await desk.take(step) == code
    async with one() as uow:
        assert (await accounts_of(uow, desk.loan_id))[1000] + 10_000_00 == THAT
