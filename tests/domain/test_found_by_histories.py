"""Histories that once went wrong: found by the properties in tests/properties, kept as the shortest that failed."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import pytest

from domain.changes import RateChanged, ReAmortized
from domain.events import (
    Boarded,
    Chargeback,
    Disbursed,
    Event,
    EventBody,
    NonAccrualSet,
    PaymentReceived,
    Waived,
    WaiverTarget,
)
from domain.loan import LoanStatus
from domain.program import (
    AdvanceOrder,
    DayCount,
    ExtraMoney,
    Frequency,
    InterestMethod,
    LateFee,
    LateFeeKind,
    PeriodInterest,
    Program,
)
from domain.replay import Replay, begin, close, replay, take
from domain.terms import LoanTerms
from tests.domain.loans import assert_books_agree

METHODS = pytest.mark.parametrize("method", InterestMethod)


def live(terms: LoanTerms, as_of: date, *happened: tuple[date, EventBody]) -> Replay:
    """The replay of what happened, in the order of recording; the books and the instalments must agree with it."""
    result = replay(terms, [Event(number, on, body) for number, (on, body) in enumerate(happened, 1)], as_of)
    assert_books_agree(result)
    loan = result.state
    if loan.status is LoanStatus.ACTIVE:
        assert loan.principal_balance == sum(row.principal - row.principal_paid for row in loan.instalments)
    return result


@METHODS
def test_an_instalment_s_fee_and_not_the_next_one_s_is_paid_with_it(method: InterestMethod) -> None:
    day = date(2020, 1, 1)
    terms = LoanTerms(Program(interest_method=method, instalment_fee=250), 1, Fraction(0), 2, day, date(2020, 1, 2))
    loan = live(terms, day, (day, Disbursed(1)), (day, PaymentReceived(251, "p"))).state
    assert loan.status is LoanStatus.ACTIVE or (loan.principal_balance, loan.fees_balance) == (0, 0)


@METHODS
@pytest.mark.parametrize("until", [None, date(2020, 1, 2), date(2020, 3, 1)])
@pytest.mark.parametrize("keep", [True, False])
def test_a_rate_changes_after_the_last_due_date_too(method: InterestMethod, until: date | None, keep: bool) -> None:
    terms = LoanTerms(Program(interest_method=method), 10_000, Fraction(12, 100), 1, date(2020, 1, 1), date(2020, 1, 2))
    boarded = Boarded(LoanStatus.ACTIVE, 1000, 0, 0, date(2020, 1, 2), None)
    day = date(2020, 1, 3)
    changed = RateChanged(Fraction(6, 100), until and max(until, day + timedelta(days=1)), keep)
    live(terms, date(2020, 2, 1), (day, boarded), (day, changed))


@METHODS
def test_interest_waived_after_money_in_advance_is_asked_for_by_no_instalment(method: InterestMethod) -> None:
    start = date(2020, 12, 12)
    terms = LoanTerms(Program(interest_method=method), 377_108, Fraction(12, 100), 7, start, date(2021, 1, 6))
    waived = (date(2020, 12, 22), Waived("w", WaiverTarget.INTEREST))
    for as_of in (waived[0], date(2021, 1, 7), date(2021, 3, 1)):
        live(terms, as_of, (start, Disbursed(377_108)), (start, PaymentReceived(138_367, "p")), waived)


@METHODS
def test_interest_of_a_due_date_is_the_same_before_and_after_the_instalment_falls_due(method: InterestMethod) -> None:
    start, due = date(2021, 9, 18), date(2021, 9, 26)
    terms = LoanTerms(Program(interest_method=method), 10_286, Fraction(12, 100), 11, start, due)
    paid = PaymentReceived(2586, "p", AdvanceOrder.NEXT)
    for days in range(3):
        happened = [
            (start, Disbursed(10_286)),
            (start, ReAmortized(4)),
            (start, paid),
            (due, NonAccrualSet(True, "doubtful")),
        ]
        live(terms, due + timedelta(days=days), *happened)


def test_interest_posted_is_the_state_s_on_the_day_after_the_last_payment() -> None:
    program = Program(interest_method=InterestMethod.RECALCULATED, period_interest=PeriodInterest.DAY_COUNT)
    terms = LoanTerms(program, 1_453_624, Fraction(353, 5000), 11, date(2020, 7, 18), date(2020, 8, 2))
    day = date(2020, 9, 1)
    for days in range(4):
        payments = [(day, PaymentReceived(136_436, name)) for name in ("a", "b")]
        live(terms, day + timedelta(days=days), (terms.contract_date, Disbursed(terms.principal)), *payments)


@METHODS
@pytest.mark.parametrize("periods", [1, 2, 3])
def test_a_loan_re_amortized_to_the_instalment_being_paid_is_due_with_it(method: InterestMethod, periods: int) -> None:
    day = date(2020, 5, 25)
    terms = LoanTerms(Program(interest_method=method), 77_811, Fraction(12, 100), 10, day, date(2020, 6, 4))
    result = live(terms, day, (day, Disbursed(77_811)), (day, PaymentReceived(8036, "p")), (day, ReAmortized(periods)))
    assert sum(row.payment > 0 for row in result.state.instalments) == periods


@METHODS
def test_an_instalment_that_fell_due_before_boarding_bears_no_fee_of_its_own(method: InterestMethod) -> None:
    day = date(2020, 1, 3)
    program = Program(interest_method=method, instalment_fee=250)
    terms = LoanTerms(program, 10_000, Fraction(0), 1, date(2020, 1, 1), date(2020, 1, 2))
    boarded = (day, Boarded(LoanStatus.ACTIVE, 100, 0, 0, date(2020, 1, 2), None))
    assert [row.fees for row in live(terms, day, boarded).state.instalments] == [0]
    loan = live(terms, day, boarded, (day, PaymentReceived(100, "p"))).state
    assert (loan.status, loan.principal_balance, loan.fees_balance, loan.fees) == (LoanStatus.PAID_OFF, 0, 0, ())


def test_interest_carried_forward_and_paid_by_a_later_instalment_is_earned_once() -> None:
    start, due = date(2020, 1, 1), date(2020, 1, 2)
    program = Program(interest_method=InterestMethod.RECALCULATED, extra_money=ExtraMoney.ADVANCE_DUE)
    terms = LoanTerms(program, 10_000, Fraction(1, 400), 8, start, due)
    ahead = (start, PaymentReceived(6 * 1251, "six instalments"))
    result = live(terms, due, (start, Disbursed(10_000)), ahead, (due, PaymentReceived(1251, "the seventh")))
    assert (sum(result.accruals.values()), result.state.accrued_interest) == (1, 0)


NEVER_PAID_AGAIN = LoanTerms(
    Program(
        interest_method=InterestMethod.SIMPLE_DAILY,
        day_count=DayCount.ACT_360,
        instalment_fee=250,
        grace_days=19,
        late_fee=LateFee(LateFeeKind.PERCENT, percent=Fraction(1, 3)),
    ),
    22_467,
    Fraction(36, 100),
    14,
    date(2019, 6, 1),
    date(2019, 7, 31),
)
"""Paid half on the first day: paid from 9 January 2020 on, what is past due with the next instalment, it would end five
instalments early; unpaid, it does not."""


def test_a_loan_that_is_looked_at_goes_on_as_if_nobody_had_looked() -> None:
    start, as_of = NEVER_PAID_AGAIN.contract_date, date(2020, 11, 29)
    known = [Event(1, start, Disbursed(22_467)), Event(2, start, PaymentReceived(10_125, "p"))]
    fold = begin(NEVER_PAID_AGAIN, known)
    for event in known:
        take(fold, event)
    close(fold, date(2020, 1, 9))
    watched, unwatched = close(fold, as_of), replay(NEVER_PAID_AGAIN, known, as_of)
    assert [(fee.key, fee.amount) for fee in watched.state.fees[-1:]] == [("late_fee:2020-08-31", 214)]
    assert (watched.state, watched.entries) == (unwatched.state, unwatched.entries)


def test_an_instalment_that_a_waiver_made_needless_for_a_time_is_due_and_late_on_its_days() -> None:
    start = NEVER_PAID_AGAIN.contract_date
    waived = (date(2020, 1, 9), Waived("w", WaiverTarget.INTEREST, None, 1))
    happened = [(start, Disbursed(22_467)), (start, PaymentReceived(10_125, "p")), waived]
    fees = live(NEVER_PAID_AGAIN, date(2020, 11, 29), *happened).state.fees
    assert [(fee.key, fee.amount) for fee in fees[-4:]] == [
        ("instalment_fee:2020-07-31", 250),
        ("late_fee:2020-07-31", 130),
        ("instalment_fee:2020-08-31", 250),
        ("late_fee:2020-08-31", 214),
    ]
    for day in (fee.assessed_on for fee in fees):
        then = live(NEVER_PAID_AGAIN, day, *happened).state
        assert [fee.key for fee in then.fees] == [fee.key for fee in fees if fee.assessed_on <= day]


def test_a_recalculated_loan_that_is_looked_at_between_payments_in_advance_goes_on_as_if_nobody_had() -> None:
    start, day = date(2020, 6, 15), date(2020, 7, 10)
    program = Program(
        interest_method=InterestMethod.RECALCULATED, frequency=Frequency.ANNUALLY, advance_order=AdvanceOrder.LAST
    )
    terms = LoanTerms(program, 486_769, Fraction(1228, 10_000), 7, start, date(2020, 7, 18))
    paid = [Event(2, start, PaymentReceived(215_468, "a")), Event(3, day, PaymentReceived(215_446, "b"))]
    known = [Event(1, start, Disbursed(486_769)), *paid]
    fold = begin(terms, known)
    for event in known:
        if event.effective_date == day:
            close(fold, start)
        take(fold, event)
    assert close(fold, day).state == replay(terms, known, day).state


@METHODS
def test_an_instalment_paid_before_a_chargeback_stays_when_the_rate_changes(method: InterestMethod) -> None:
    start = date(2020, 1, 1)
    terms = LoanTerms(Program(interest_method=method), 10_000, Fraction(0), 2, start, date(2020, 1, 2))
    paid = [(start, PaymentReceived(5000, name)) for name in ("a", "b")]
    changed = (start, RateChanged(Fraction(1, 100), None, keep_payment=False))
    happened = [(start, Disbursed(10_000)), *paid, (start, Chargeback("c", "a", 5000)), changed]
    for as_of in (start, date(2020, 1, 2), date(2020, 3, 1)):
        loan = live(terms, as_of, *happened).state
        assert sum(row.principal for row in loan.instalments) == 10_000 + 5000


def test_of_interest_waived_in_part_and_paid_ahead_all_is_earned() -> None:
    start, day = date(2020, 1, 1), date(2020, 1, 3)
    terms = LoanTerms(Program(), 169_019, Fraction(36, 100), 2, start, date(2020, 1, 11))
    waived, paid = (day, Waived("w", WaiverTarget.INTEREST)), (day, PaymentReceived(20_000, "p"))
    result = live(terms, day, (start, Disbursed(169_019)), waived, paid)
    first = result.state.instalments[0]
    assert (first.interest, first.interest_waived, first.interest_paid) == (5071, 1014, 5071 - 1014)
    assert (sum(result.accruals.values()), result.state.accrued_interest) == (5071, 0)
