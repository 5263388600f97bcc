"""Payouts: who decides, what of a payment may be refunded, what is withheld of one that is refunded beyond what it left."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from domain.errors import Conflict, InvalidInput, WrongState
from domain.events import EventKind, PaymentReceived, PaymentSettled, Refunded, RefundSent, event_from_dict, event_to_dict
from domain.loan import LoanStatus
from domain.payouts import (
    PayoutAction,
    PayoutPlan,
    PayoutStatus,
    Refundable,
    after,
    check_pays_out,
    check_promise,
    goes_beyond_unapplied,
    progress,
)
from domain.program import ExtraMoney
from domain.replay import Replay, replay
from domain.shortfall import cover_shortfalls
from domain.terms import LoanTerms
from tests.domain.loans import EXAMPLE, LEVEL, assert_books_agree, history, moves, under

OF = Refundable("completed", paid=500_00, refunded=40_00, charged_back=0, asked=60_00, unapplied=150_00, promised=60_00)
DAY = date(2020, 10, 9)


class TestWhatMayBeRefunded:
    @pytest.mark.parametrize("amount", [1, 90_00])
    def test_what_is_unapplied_and_promised_to_nobody(self, amount: int) -> None:
        assert goes_beyond_unapplied(OF, amount, override=False) is False
        assert goes_beyond_unapplied(OF, amount, override=True) is False, "the override is not needed"

    def test_more_only_with_an_override(self) -> None:
        with pytest.raises(WrongState, match=r"Only 90\.00 .*60\.00 more is promised") as refused:
            goes_beyond_unapplied(OF, 90_01, override=False)
        assert (refused.value.code, refused.value.allowed) == ("not_unapplied", ("up to 90.00", "override"))
        assert goes_beyond_unapplied(OF, 90_01, override=True) is True

    @pytest.mark.parametrize("override", [False, True])
    def test_never_more_than_is_left_of_the_payment(self, override: bool) -> None:
        rich = replace(OF, unapplied=9_000_00)
        assert goes_beyond_unapplied(rich, 400_00, override=override) is False
        with pytest.raises(InvalidInput, match=r"500\.00 paid, less 40\.00 refunded, less 60\.00 waiting") as refused:
            goes_beyond_unapplied(rich, 400_01, override=override)
        assert refused.value.errors[0].pointer == "/amount"
        with pytest.raises(InvalidInput, match=r"300\.00"):
            goes_beyond_unapplied(replace(rich, charged_back=100_00), 300_01, override=override)

    @pytest.mark.parametrize("status", ["pending", "processing", "voided", "failed", "returned", "reversed"])
    def test_a_payment_that_is_not_completed_is_refused_with_its_state(self, status: str) -> None:
        with pytest.raises(WrongState, match=f"The payment is {status}") as refused:
            goes_beyond_unapplied(replace(OF, status=status), 1, override=True)
        assert (refused.value.state, refused.value.allowed) == (status, ("completed",))

    @pytest.mark.parametrize("amount", [0, -1])
    def test_an_amount_that_is_none(self, amount: int) -> None:
        with pytest.raises(InvalidInput, match=r"above 0\.00"):
            goes_beyond_unapplied(OF, amount, override=True)

    def test_a_promise_is_kept(self) -> None:
        check_promise(60_00, 60_00)
        with pytest.raises(Conflict, match=r"60\.00 of unapplied"):
            check_promise(59_99, 60_00)


class TestWhoDecides:
    @pytest.mark.parametrize("status", [PayoutStatus.APPROVED, PayoutStatus.SENT, PayoutStatus.REJECTED])
    @pytest.mark.parametrize("action", [PayoutAction.APPROVE, PayoutAction.REJECT])
    def test_what_is_decided_stays_decided(self, status: PayoutStatus, action: PayoutAction) -> None:
        with pytest.raises(WrongState, match=f"The payout is {status}") as refused:
            after(status, action)
        allowed = ("cancel",) if status is PayoutStatus.APPROVED else ()
        assert (refused.value.state, refused.value.allowed) == (status, allowed)

    def test_it_is_cancelled_once_it_is_approved_and_until_the_rail_has_it(self) -> None:
        assert after(PayoutStatus.APPROVED, PayoutAction.CANCEL) is PayoutStatus.CANCELLED
        with pytest.raises(WrongState, match=f"approved, and the rail has taken it to send it on {DAY}") as refused:
            after(PayoutStatus.APPROVED, PayoutAction.CANCEL, DAY)
        assert (refused.value.state, refused.value.allowed) == ("approved", ())
        with pytest.raises(WrongState, match="The payout is pending_approval, so cancel is refused") as refused:
            after(PayoutStatus.PENDING_APPROVAL, PayoutAction.CANCEL)
        assert refused.value.allowed == ("approve", "reject")
        for status in (PayoutStatus.SENT, PayoutStatus.REJECTED, PayoutStatus.CANCELLED):
            with pytest.raises(WrongState, match=f"The payout is {status}, so cancel is refused; nothing further"):
                after(status, PayoutAction.CANCEL)

    def test_nothing_is_sent_that_was_not_approved(self) -> None:
        assert after(PayoutStatus.APPROVED, PayoutAction.SEND) is PayoutStatus.SENT
        with pytest.raises(WrongState) as refused:
            after(PayoutStatus.PENDING_APPROVAL, PayoutAction.SEND)
        assert refused.value.allowed == ("approve", "reject")

    @pytest.mark.parametrize("status", LoanStatus)
    def test_a_loan_that_is_not_the_lender_s_to_service_pays_nothing_out(self, status: LoanStatus) -> None:
        if status in ("active", "paid_off", "charged_off"):
            check_pays_out(status)
            return
        with pytest.raises(WrongState, match=f"The loan is {status}"):
            check_pays_out(status)


def test_a_payout_is_due_on_the_day_of_the_rail() -> None:
    def plan(status: PayoutStatus, goes_out_on: date | None) -> PayoutPlan:
        return PayoutPlan(status, DAY, goes_out_on)

    assert plan(PayoutStatus.APPROVED, DAY).due
    assert not plan(PayoutStatus.APPROVED, date(2020, 10, 13)).due
    assert not plan(PayoutStatus.APPROVED, None).due
    assert not plan(PayoutStatus.SENT, DAY).due
    assert [plan(status, None).ended for status in PayoutStatus] == [False, False, True, True, True]
    assert progress(PayoutStatus.APPROVED, DAY) == ("on the rail", "the business date 2020-10-09")


class TestWithheld:
    """A payment of which a refund is withheld pays what a smaller one would."""

    def paid(self, amount: int, withheld: int | None, terms: LoanTerms = EXAMPLE, on: date = date(2020, 12, 9)) -> Replay:
        events = [(DAY, PaymentReceived(amount, "p", withheld=withheld)), (DAY, PaymentSettled("p"))]
        refund = [(DAY, Refunded("r", withheld)), (DAY, RefundSent("r"))] if withheld else []
        result = replay(terms, history(*events, *refund, terms=terms), on)
        assert_books_agree(result)
        return result

    @pytest.mark.parametrize("extra_money", ExtraMoney)
    @pytest.mark.parametrize("withheld", [1, 100_00, LEVEL, 2 * LEVEL - 1])
    def test_the_loan_is_that_of_the_smaller_payment(self, extra_money: ExtraMoney, withheld: int) -> None:
        terms = under(extra_money=extra_money)
        refunded, smaller = self.paid(2 * LEVEL, withheld, terms), self.paid(2 * LEVEL - withheld, None, terms)
        same = replace(refunded.state, total_paid=0, last_payment_amount=0)
        assert same == replace(smaller.state, total_paid=0, last_payment_amount=0)
        paid, less = refunded.allocations["p"], smaller.allocations["p"]
        assert (paid.unapplied, paid.amount) == (less.unapplied + withheld, 2 * LEVEL)
        assert paid.lines == less.lines

    def test_all_of_it_pays_nothing(self) -> None:
        result = self.paid(LEVEL, LEVEL)
        assert (result.allocations["p"].lines, result.state.unapplied) == ((), 0)
        assert result.state.days_past_due == 61

    def test_the_books_show_the_whole_payment_and_the_refund(self) -> None:
        entries = {entry.key: moves(entry) for entry in self.paid(LEVEL, 100_00, on=DAY).entries}
        assert entries["payment:p"] == [(1010, 1110, 36_99), (1010, 1100, LEVEL - 100_00 - 36_99), (1010, 2000, 100_00)]
        assert entries["refund:r"] == [(2000, 2010, 100_00)]
        assert entries["settled:p"] == [(1000, 1010, LEVEL)]
        assert entries["refund:r:sent"] == [(2010, 1000, 100_00)]

    def test_a_payment_that_had_paid_the_loan_off_leaves_it_active(self) -> None:
        assert self.paid(10_500_00, None).state.status is LoanStatus.PAID_OFF
        loan = self.paid(10_500_00, 1_000_00).state
        assert (loan.status, loan.unapplied) == (LoanStatus.ACTIVE, 0)

    def test_returned_by_the_bank_afterwards_the_borrower_owes_what_was_refunded(self) -> None:
        kept = history((DAY, Refunded("r", 100_00)), (DAY, RefundSent("r")), terms=EXAMPLE)
        changed = cover_shortfalls(EXAMPLE, kept, DAY)
        assert list(changed.values()) == [Refunded("r", 100_00, shortfall=100_00)]

    @pytest.mark.parametrize("withheld", [-1, LEVEL + 1])
    def test_not_more_than_was_paid(self, withheld: int) -> None:
        with pytest.raises(InvalidInput) as refused:
            replay(EXAMPLE, history((DAY, PaymentReceived(LEVEL, "p", withheld=withheld))), DAY)
        assert refused.value.errors[0].pointer == "/withheld"

    def test_its_form(self) -> None:
        plain, less = PaymentReceived(LEVEL, "p"), PaymentReceived(LEVEL, "p", withheld=100_00)
        assert "withheld" not in event_to_dict(plain), "what is stored stays what it was"
        assert event_to_dict(less)["withheld"] == "100.00"
        assert event_from_dict(EventKind.PAYMENT_RECEIVED, event_to_dict(less)) == less
