"""A payment may say itself what becomes of its money beyond what is due; else the program does."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from domain.draft_amounts import ExtraTowards
from domain.events import PaymentReceived, Refunded, event_from_dict, event_to_dict
from domain.loan import state_hash
from domain.program import ExtraMoney, InterestMethod
from domain.replay import replay
from tests.domain.loans import LEVEL, assert_books_agree, history, under

DUE, NEXT, LATER = date(2020, 10, 9), date(2020, 11, 9), date(2020, 12, 9)
PROGRAMS = [
    (method, extra)
    for method in (InterestMethod.SCHEDULED, InterestMethod.SIMPLE_DAILY, InterestMethod.RECALCULATED)
    for extra in ExtraMoney
]


@pytest.mark.parametrize("as_of", [DUE, date(2020, 10, 20), NEXT, date(2020, 12, 15)])
@pytest.mark.parametrize("wish", ExtraMoney)
@pytest.mark.parametrize(("method", "programs"), PROGRAMS)
def test_what_a_payment_says_is_as_if_its_program_said_it(
    method: InterestMethod, programs: ExtraMoney, wish: ExtraMoney, as_of: date
) -> None:
    terms = under(interest_method=method, extra_money=programs)
    says_so = under(interest_method=method, extra_money=wish)
    own = replay(terms, history((DUE, PaymentReceived(LEVEL + 60_000, "p", extra=wish)), terms=terms), as_of)
    usual = replay(says_so, history((DUE, PaymentReceived(LEVEL + 60_000, "p")), terms=says_so), as_of)
    assert state_hash(own.state) == state_hash(usual.state)
    assert (own.allocations, own.applications) == (usual.allocations, usual.applications)
    assert_books_agree(own)


def test_it_counts_for_that_payment_alone() -> None:
    terms = under(extra_money=ExtraMoney.PRINCIPAL_ONLY)
    first, second = PaymentReceived(2 * LEVEL + 10_000, "p", extra=ExtraMoney.UNAPPLIED), PaymentReceived(5_000, "q")
    found = replay(terms, history((DUE, first), (date(2020, 10, 12), second), terms=terms), date(2020, 10, 12))
    assert (found.allocations["p"].unapplied, found.allocations["q"].unapplied) == (10_000, 0)


def test_money_that_waits_for_the_next_due_date_is_applied_then_and_no_other_unapplied_money_is() -> None:
    """It is beyond the instalment of November too, which it pays at once. What was withheld for a refund stays for it."""
    terms = under(extra_money=ExtraMoney.PRINCIPAL_ONLY)
    waits = PaymentReceived(2 * LEVEL + 10_000, "p", extra=ExtraMoney.UNAPPLIED)
    withheld = PaymentReceived(3_000, "q", withheld=3_000)
    known = history((DUE, waits), (date(2020, 10, 12), withheld), terms=terms)
    assert replay(terms, known, date(2020, 12, 8)).state.unapplied == 13_000
    found = replay(terms, known, LATER)
    assert (found.state.unapplied, found.applications[LATER.isoformat()].amount) == (3_000, 10_000)
    refunded = history((DUE, waits), (date(2020, 10, 12), Refunded("r", 4_000)), terms=terms)
    found = replay(terms, refunded, LATER)
    assert (found.state.unapplied, found.applications[LATER.isoformat()].amount) == (0, 6_000)


def test_it_is_kept_with_the_event_and_events_of_before_stay_as_they_are() -> None:
    plain = PaymentReceived(100, "p")
    assert event_to_dict(plain) == {"amount": "1.00", "payment_id": "p"}
    said = replace(plain, extra=ExtraMoney.UNAPPLIED)
    assert event_from_dict("payment_received", event_to_dict(said)) == said


def test_each_wish_of_a_borrower_is_a_way_of_the_engine() -> None:
    assert {wish.extra_money for wish in ExtraTowards} == set(ExtraMoney)
