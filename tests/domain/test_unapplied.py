"""Unapplied funds: applied by a person or by themselves, refunded, and what happens when a bank takes them back."""

from __future__ import annotations

from datetime import date

import pytest

from domain.errors import InvalidInput
from domain.events import (
    Event,
    EventBody,
    PaymentReceived,
    Refunded,
    RefundSent,
    Reimbursed,
    ReimbursementSent,
    UnappliedApplied,
)
from domain.journal import EntryKind
from domain.loan import LoanStatus
from domain.program import ExtraMoney
from domain.replay import Replay, replay
from domain.shortfall import cover_shortfalls
from domain.terms import LoanTerms
from domain.unapplied import NotUnapplied
from tests.domain.loans import EXAMPLE, LEVEL, assert_books_agree, disbursed, history, moves, under

KEPT = under(extra_money=ExtraMoney.UNAPPLIED)
PAID = (date(2020, 9, 20), PaymentReceived(LEVEL + 10_000, "p"))
"""The first instalment early, and 100.00 that stay unapplied."""


def after(on: date, *happened: tuple[date, EventBody], terms: LoanTerms = KEPT) -> Replay:
    result = replay(terms, history(*happened, terms=terms), on)
    assert_books_agree(result)
    return result


def test_extra_money_is_kept_and_applied_by_itself_when_the_next_instalment_falls_due() -> None:
    assert after(date(2020, 11, 8), PAID).state.unapplied == 10_000
    result = after(date(2020, 11, 9), PAID)
    assert (result.state.unapplied, result.state.instalments[1].interest_paid) == (0, 3652)
    entry = result.entries[-1]
    assert (entry.key, entry.kind) == ("unapplied:2020-11-09", EntryKind.APPLICATION)
    assert moves(entry) == [(2000, 1110, 3652), (2000, 1100, 10_000 - 3652)]
    assert list(result.applications) == ["2020-11-09"]


def test_it_pays_what_is_due_and_never_the_instalment_after() -> None:
    paid = (date(2020, 9, 20), PaymentReceived(LEVEL + 2 * LEVEL + 500, "p"))
    loan = after(date(2020, 11, 9), paid).state
    assert (loan.unapplied, loan.instalments[1].principal_paid) == (LEVEL + 500, loan.instalments[1].principal)
    assert after(date(2020, 12, 9), paid).state.unapplied == 500
    assert after(date(2021, 1, 9), paid).state.unapplied == 0


def test_it_avoids_the_late_fee_and_pays_one_assessed_before() -> None:
    late = (date(2020, 11, 1), PaymentReceived(LEVEL + 3000 + LEVEL, "p"))  # the first instalment and its fee, the second
    loan = after(date(2020, 12, 8), late).state
    assert (loan.unapplied, [fee.key for fee in loan.fees]) == (0, ["late_fee:2020-10-09"])


def test_a_person_applies_it_before() -> None:
    result = after(date(2020, 10, 9), PAID, (date(2020, 10, 9), UnappliedApplied("a", 5000)))
    assert (result.state.unapplied, result.applications["a"].interest) == (5000, 3652)
    assert moves(result.entries[-1]) == [(2000, 1110, 3652), (2000, 1100, 5000 - 3652)]


def test_what_the_waterfall_leaves_over_stays_unapplied() -> None:
    ahead = (date(2020, 10, 25), PaymentReceived(4 * LEVEL, "p"))  # with the fee of 30.00, up to the instalment of November
    everything = (date(2020, 10, 26), UnappliedApplied("a", 2 * LEVEL - 3000))
    result = after(date(2020, 10, 26), ahead, everything)
    assert result.state.unapplied == result.applications["a"].unapplied == 2 * LEVEL - 3000
    assert result.entries[-1].key == "payment:p"


def test_a_refund_is_approved_then_sent() -> None:
    approved = (date(2020, 9, 21), Refunded("r", 4000))
    result = after(date(2020, 9, 25), PAID, approved, (date(2020, 9, 23), RefundSent("r")))
    assert result.state.unapplied == 6000
    assert [moves(entry) for entry in result.entries[-2:]] == [[(2000, 2010, 4000)], [(2010, 1000, 4000)]]
    assert [entry.key for entry in result.entries[-2:]] == ["refund:r", "refund:r:sent"]


def test_money_received_after_the_payoff_is_refunded() -> None:
    payoff = (date(2020, 9, 24), PaymentReceived(1_002_000, "p"))
    result = after(date(2020, 10, 1), payoff, (date(2020, 9, 30), Refunded("r", 150)), terms=EXAMPLE)
    assert (result.state.status, result.state.unapplied) == (LoanStatus.PAID_OFF, 0)


def test_a_reimbursement_is_the_lender_s_own_money() -> None:
    approved, sent = (date(2020, 9, 21), Reimbursed("g", 2500)), (date(2020, 9, 22), ReimbursementSent("g"))
    result = after(date(2020, 9, 25), PAID, approved, sent)
    assert result.state.unapplied == 10_000
    assert [moves(entry) for entry in result.entries[-2:]] == [[(5020, 2010, 2500)], [(2010, 1000, 2500)]]


@pytest.mark.parametrize(
    ("impossible", "pointer"),
    [
        ([Refunded("r", 0)], "/amount"),
        ([Refunded("r", 5, 6)], "/shortfall"),
        ([Refunded("r", 5), Refunded("r", 5)], "/refund_id"),
        ([RefundSent("r")], "/refund_id"),
        ([Refunded("r", 5), RefundSent("r"), RefundSent("r")], "/refund_id"),
        ([UnappliedApplied("a", -5)], "/amount"),
        ([UnappliedApplied("a", 5), UnappliedApplied("a", 5)], "/application_id"),
        ([Reimbursed("g", 0)], "/amount"),
        ([Reimbursed("g", 5), Reimbursed("g", 5)], "/reimbursement_id"),
        ([ReimbursementSent("g")], "/reimbursement_id"),
    ],
)
def test_what_cannot_be_is_refused(impossible: list[EventBody], pointer: str) -> None:
    day = date(2020, 10, 20)
    with pytest.raises(InvalidInput) as refusal:
        after(day, PAID, *((day, body) for body in impossible))
    assert refusal.value.errors[0].pointer == pointer


@pytest.mark.parametrize("body", [Refunded("r", 10_001), UnappliedApplied("r", 10_001)])
def test_no_more_than_is_unapplied_can_be_taken(body: Refunded | UnappliedApplied) -> None:
    with pytest.raises(NotUnapplied, match=r"r of 100.01 on 2020-09-21 takes more than the 100.00") as refusal:
        after(date(2020, 9, 21), PAID, (date(2020, 9, 21), body))
    assert (refusal.value.body, refusal.value.missing, refusal.value.code) == (body, 1, "not_unapplied")


def test_a_payment_that_is_backdated_or_taken_back_makes_a_refund_impossible() -> None:
    refund = (date(2020, 10, 20), Refunded("r", 10_000))
    with pytest.raises(NotUnapplied, match="refund r"):
        after(date(2020, 10, 20), refund)


def test_a_bank_s_return_always_posts_and_what_was_refunded_is_due_from_the_borrower() -> None:
    day = date(2020, 10, 20)
    small = (date(2020, 9, 22), PaymentReceived(LEVEL + 1000, "q"))
    left = history(small, (day, Refunded("r", 8000)), (day, UnappliedApplied("a", 500)), terms=KEPT)
    changed = cover_shortfalls(KEPT, left, day)
    assert changed == {3: Refunded("r", 8000, shortfall=7000), 4: None}
    covered = [Event(e.sequence, e.effective_date, changed.get(e.sequence) or e.body) for e in left if e.sequence != 4]
    result = replay(KEPT, covered, day)
    assert_books_agree(result)
    assert (result.state.unapplied, result.state.due_from_borrower) == (0, 7000)
    assert moves(result.entries[-1]) == [(2000, 2010, 1000), (1130, 2010, 7000)]


def test_money_left_over_repays_what_is_due_from_the_borrower_first() -> None:
    day = date(2020, 10, 20)
    refund = (day, Refunded("r", 8000, shortfall=8000))
    more = (date(2020, 10, 21), PaymentReceived(2 * LEVEL + 10_000, "q"))
    result = after(date(2020, 10, 21), (date(2020, 10, 9), PaymentReceived(LEVEL, "p")), refund, more)
    assert (result.state.due_from_borrower, result.state.unapplied) == (0, LEVEL + 2000)
    assert moves(result.entries[-1])[-2:] == [(1010, 1130, 8000), (1010, 2000, LEVEL + 2000)]


def test_nothing_is_changed_where_nothing_is_short() -> None:
    assert cover_shortfalls(KEPT, [disbursed(KEPT)], date(2020, 10, 1)) == {}
