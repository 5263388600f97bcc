"""A loan's life under the scheduled method, told with the example loan."""

from __future__ import annotations

import json
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from time import process_time

import pytest

from benchmarks.replay import loan as loan_of_a_payment_a_month
from domain.errors import InvalidInput, InvalidTerms, WrongState
from domain.events import Disbursed, Event, PaymentReceived, PaymentSettled
from domain.loan import InstalmentStatus, LoanState, LoanStatus, state_hash
from domain.money import parse_amount
from domain.program import ExtraMoney, FirstPeriod, InterestMethod, PeriodInterest, Program
from domain.replay import check_payment, preview, replay
from domain.terms import LoanTerms
from tests.domain.loans import EXAMPLE, LEVEL, assert_books_agree, boarded, disbursed, events, run, state, under

CASE = Path(__file__).parents[3] / "shared" / "cases" / "example_loan.json"
START = EXAMPLE.contract_date
SCHEDULE = state(START).instalments
ON_TIME = [(row.due_date, row.payment) for row in SCHEDULE]


def test_a_loan_without_events_is_boarding_and_owes_nothing() -> None:
    loan = replay(EXAMPLE, [], date(2021, 1, 1)).state
    assert loan.status is LoanStatus.BOARDING
    assert (loan.principal_balance, loan.instalments, loan.next_due_date) == (0, (), None)


def test_the_schedule_is_the_contract() -> None:
    assert [row.payment for row in SCHEDULE[:35]] == [LEVEL] * 35
    assert (SCHEDULE[0].interest, SCHEDULE[35].payment, SCHEDULE[35].due_date) == (3699, 29686, date(2023, 9, 9))
    assert sum(row.principal for row in SCHEDULE) == EXAMPLE.principal
    assert (SCHEDULE[0].period_start, SCHEDULE[1].period_start) == (START, date(2020, 10, 9))


@pytest.mark.parametrize("method", list(InterestMethod))
def test_ten_years_are_replayed_in_milliseconds(method: InterestMethod) -> None:
    """120 payments, one of them backdated: 4, 7 and 15 ms where this was written; the bound leaves a slow machine room."""
    terms, happened = loan_of_a_payment_a_month(method, years=10)
    spent = []
    for _ in range(5):
        start = process_time()
        replay(terms, happened, date(2030, 12, 31))
        spent.append(process_time() - start)
    assert min(spent) < 0.15


@pytest.mark.skipif(not CASE.exists(), reason="the case file of the example loan is not beside the repository")
def test_paid_on_every_due_date_the_example_loan_costs_what_was_disclosed() -> None:
    expected = json.loads(CASE.read_text())["expected"]
    result = run(date(2023, 9, 9), *ON_TIME)
    loan = result.state
    assert (loan.status, loan.paid_off_on) == (LoanStatus.PAID_OFF, date.fromisoformat(expected["final_payment_date"]))
    assert sum(result.accruals.values()) == parse_amount(expected["finance_charge"])
    assert loan.total_paid == parse_amount(expected["total_of_payments"])
    assert loan.last_payment_amount == parse_amount(expected["final_payment"])
    assert (loan.principal_balance, loan.accrued_interest, loan.fees, loan.unapplied) == (0, 0, (), 0)
    assert_books_agree(result)


def test_paying_late_adds_no_interest() -> None:
    late = [(day + timedelta(days=9), amount) for day, amount in ON_TIME]
    result = run(date(2023, 9, 30), *late)
    assert result.state.status is LoanStatus.PAID_OFF
    assert sum(result.accruals.values()) == 70831


def test_paying_an_instalment_early_saves_no_interest_and_is_no_curtailment() -> None:
    early = [(day - timedelta(days=5), amount) for day, amount in ON_TIME[:-1]]
    result = run(date(2023, 9, 9), *early, ON_TIME[-1])
    assert result.state.status is LoanStatus.PAID_OFF
    assert sum(result.accruals.values()) == 70831
    assert result.state.fees == ()


def test_interest_is_earned_by_the_days_of_the_period_and_posted_by_month() -> None:
    result = run(date(2020, 9, 30))
    assert result.accruals == {date(2020, 9, 1): 2589}  # 36.99 x 21 days / 30 days
    result = run(date(2020, 10, 9))
    assert result.accruals == {date(2020, 9, 1): 2589, date(2020, 10, 1): 3699 - 2589}
    assert result.state.accrued_interest == 3699


def test_interest_paid_ahead_is_earned_when_it_is_paid() -> None:
    result = run(date(2020, 9, 10), (date(2020, 9, 10), LEVEL))
    assert result.accruals == {date(2020, 9, 1): 3699}
    assert result.state.accrued_interest == 0
    assert run(date(2020, 10, 9), (date(2020, 9, 10), LEVEL)).accruals == {date(2020, 9, 1): 3699}


def test_on_its_due_date_an_instalment_is_due_and_the_day_after_past_due() -> None:
    before, on, after = (state(date(2020, 10, day)) for day in (8, 9, 10))
    statuses = [loan.instalments[0].status for loan in (before, on, after)]
    assert statuses == [InstalmentStatus.SCHEDULED, InstalmentStatus.DUE, InstalmentStatus.PAST_DUE]
    assert [loan.days_past_due for loan in (before, on, after)] == [0, 0, 1]
    assert [loan.past_due_amount for loan in (before, on, after)] == [0, 0, LEVEL]
    assert [loan.oldest_unpaid_due_date for loan in (before, on, after)] == [None, date(2020, 10, 9), date(2020, 10, 9)]
    assert [loan.delinquency_bucket for loan in (before, on, after)] == ["current", "current", "dpd_1_29"]


def test_a_partly_paid_instalment_is_partial_and_then_past_due_with_its_rest() -> None:
    paid = (date(2020, 10, 1), 10000)
    assert state(date(2020, 10, 9), paid).instalments[0].status is InstalmentStatus.PARTIAL
    loan = state(date(2020, 10, 10), paid)
    assert loan.instalments[0].status is InstalmentStatus.PAST_DUE
    assert (loan.instalments[0].interest_paid, loan.instalments[0].principal_paid) == (3699, 6301)
    assert loan.past_due_amount == LEVEL - 10000


def test_the_next_draft_takes_all_past_due_the_instalment_and_the_fees_on_the_way() -> None:
    assert (state(START).next_due_date, state(START).next_due_amount) == (date(2020, 10, 9), LEVEL)
    assert (state(date(2020, 10, 9)).next_due_date, state(date(2020, 10, 9)).next_due_amount) == (date(2020, 10, 9), LEVEL)
    late = state(date(2020, 10, 25))
    assert (late.next_due_date, late.next_due_amount) == (date(2020, 11, 9), 2 * LEVEL + 3000)
    cured = state(date(2020, 11, 9), (date(2020, 11, 9), late.next_due_amount))
    assert (cured.days_past_due, cured.past_due_amount, cured.fees_balance) == (0, 0, 0)
    assert cured.oldest_unpaid_due_date is None


def test_paid_ahead_the_next_due_date_is_the_next_unpaid_one() -> None:
    loan = state(date(2020, 9, 20), (date(2020, 9, 20), LEVEL))
    assert (loan.next_due_date, loan.next_due_amount) == (date(2020, 11, 9), LEVEL)


def test_after_the_last_due_date_there_is_no_next_one_but_still_an_amount() -> None:
    loan = state(date(2023, 10, 1), *ON_TIME[:-1])
    assert (loan.next_due_date, loan.past_due_amount, loan.days_past_due) == (None, 29686, 22)
    assert loan.next_due_amount == 29686 + 3000


def test_a_curtailment_lowers_principal_now_keeps_the_level_payment_and_shortens_the_term() -> None:
    loan = state(date(2020, 9, 20), (date(2020, 9, 20), LEVEL + 200_000))
    assert loan.principal_balance == 1_000_000 - (LEVEL - 3699) - 200_000
    assert len(loan.instalments) < 36
    assert {row.payment for row in loan.instalments[:-1]} == {LEVEL}
    assert 0 < loan.instalments[-1].payment <= LEVEL
    assert loan.instalments[1].interest == round((1_000_000 - 26048 - 200_000) * 0.045 / 12)
    assert [row.number for row in loan.instalments] == list(range(1, len(loan.instalments) + 1))
    for row, agreed in zip(loan.instalments, SCHEDULE, strict=False):
        assert (row.period_start, row.due_date) == (agreed.period_start, agreed.due_date)
    rest = [(row.due_date, row.payment) for row in loan.instalments[1:]]
    paid = run(rest[-1][0], (date(2020, 9, 20), LEVEL + 200_000), *rest)
    assert (paid.state.status, paid.state.unapplied) == (LoanStatus.PAID_OFF, 0)
    assert sum(paid.accruals.values()) < 70831


def test_money_in_advance_pays_the_following_instalments_interest_and_all() -> None:
    terms = under(extra_money=ExtraMoney.ADVANCE_DUE)
    loan = state(date(2020, 9, 20), (date(2020, 9, 20), 3 * LEVEL + 5000), terms=terms)
    assert [row.status for row in loan.instalments[:4]] == [InstalmentStatus.PAID] * 3 + [InstalmentStatus.PARTIAL]
    assert len(loan.instalments) == 36
    assert loan.next_due_date == date(2021, 1, 9)
    assert loan.accrued_interest == 0


def test_interest_paid_ahead_is_earned_past_an_instalment_that_bears_none() -> None:
    """10.00 at 0.65 %: February's interest rounds to 0.00 and March's to 0.01, so a period without interest lies between."""
    program = Program(extra_money=ExtraMoney.ADVANCE_DUE, period_interest=PeriodInterest.DAY_COUNT)
    terms = LoanTerms(program, 1000, Fraction(65, 10000), 48, date(2020, 11, 15), date(2020, 12, 15))
    result = run(terms.contract_date, (terms.contract_date, 200), terms=terms)
    assert [row.interest_paid for row in result.state.instalments[:5]] == [1, 1, 1, 0, 1]
    assert (result.state.accrued_interest, sum(result.accruals.values())) == (0, 4)
    assert_books_agree(result)


def test_payoff_in_the_middle_of_a_period_saves_the_interest_of_the_days_not_used() -> None:
    result = run(date(2020, 9, 24), (date(2020, 9, 24), 1_000_000 + 1850))  # 36.99 x 15 / 30 = 18.495
    loan = result.state
    assert (loan.status, loan.paid_off_on, loan.unapplied) == (LoanStatus.PAID_OFF, date(2020, 9, 24), 0)
    assert sum(result.accruals.values()) == 1850
    assert {row.status for row in loan.instalments} == {InstalmentStatus.PAID}
    assert sum(row.principal_paid for row in loan.instalments) == 1_000_000
    assert (loan.next_due_date, loan.next_due_amount, loan.per_diem) == (None, 0, Fraction(0))
    assert_books_agree(result)


def test_a_cent_less_than_the_payoff_does_not_pay_off() -> None:
    loan = state(date(2020, 9, 24), (date(2020, 9, 24), 1_000_000 + 1849))
    assert loan.status is LoanStatus.ACTIVE
    assert loan.principal_balance > 0


def test_money_after_payoff_is_unapplied() -> None:
    result = run(date(2020, 10, 1), (date(2020, 9, 24), 1_002_000), (date(2020, 9, 30), 5000))
    assert result.allocations["p1"].unapplied == 150
    assert result.allocations["p2"].unapplied == 5000
    assert (result.state.unapplied, result.state.total_paid) == (5150, 1_007_000)
    assert result.state.last_payment_date == date(2020, 9, 30)
    assert_books_agree(result)


def test_the_earlier_of_two_payments_recorded_the_other_way_round_still_comes_first() -> None:
    first, second = PaymentReceived(LEVEL, "a"), PaymentReceived(500, "b")
    recorded = [disbursed(), Event(2, date(2020, 11, 1), second), Event(3, date(2020, 10, 9), first)]
    result = replay(EXAMPLE, recorded, date(2020, 11, 1))
    in_order = [disbursed(), Event(2, date(2020, 10, 9), first), Event(3, date(2020, 11, 1), second)]
    assert state_hash(result.state) == state_hash(replay(EXAMPLE, in_order, date(2020, 11, 1)).state)
    assert list(result.allocations) == ["a", "b"]


def test_on_one_day_payments_count_in_the_order_of_their_sequence() -> None:
    day = date(2020, 10, 9)
    recorded = [Event(3, day, PaymentReceived(100, "b")), Event(2, day, PaymentReceived(3699, "a")), disbursed()]
    result = replay(EXAMPLE, recorded, day)
    assert (result.allocations["a"].interest, result.allocations["b"].interest) == (3699, 0)


def test_events_after_the_day_are_not_known_yet() -> None:
    assert run(date(2020, 10, 8), (date(2020, 10, 9), LEVEL)).allocations == {}


def test_a_settlement_posts_the_payment_s_amount() -> None:
    known = [*events((date(2020, 10, 9), LEVEL)), Event(3, date(2020, 10, 12), PaymentSettled("p1"))]
    entry = replay(EXAMPLE, known, date(2020, 10, 12)).entries[-1]
    assert (entry.key, entry.effective_date, entry.transfers[0].amount) == ("settled:p1", date(2020, 10, 12), LEVEL)


def test_on_one_day_money_comes_before_its_settlement_whatever_was_recorded_first() -> None:
    day = date(2020, 10, 9)
    known = [disbursed(), Event(2, day, PaymentSettled("p")), Event(3, day, PaymentReceived(LEVEL, "p"))]
    assert [entry.key for entry in replay(EXAMPLE, known, day).entries] == ["disbursed", "payment:p", "settled:p"]


@pytest.mark.parametrize(
    ("impossible", "pointer"),
    [
        ([Event(1, START, Disbursed(999))], "/amount"),
        ([Event(1, START - timedelta(days=1), Disbursed(1_000_000))], "/effective_date"),
        ([disbursed(), Event(2, START, PaymentSettled("x"))], "/payment_id"),
        (
            [
                disbursed(),
                Event(2, START, PaymentSettled("x")),
                Event(3, START + timedelta(days=1), PaymentReceived(5, "x")),
            ],
            "/payment_id",
        ),
        (
            [disbursed(), Event(2, START, PaymentReceived(5, "x")), *(Event(n, START, PaymentSettled("x")) for n in (3, 4))],
            "/payment_id",
        ),
        ([disbursed(), *(Event(n, START, PaymentReceived(5, "x")) for n in (2, 3))], "/payment_id"),
        ([disbursed(), Event(2, START, PaymentReceived(0, "x"))], "/amount"),
    ],
)
def test_events_that_cannot_be_are_refused(impossible: list[Event], pointer: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        replay(EXAMPLE, impossible, date(2020, 12, 1))
    assert [error.pointer for error in refusal.value.errors] == [pointer]


def test_a_loan_begins_once() -> None:
    with pytest.raises(WrongState):
        replay(EXAMPLE, [disbursed(), Event(2, START, boarded(principal=5))], date(2020, 12, 1))
    paid_off = events((START, 1_000_000))
    with pytest.raises(WrongState):
        replay(EXAMPLE, [*paid_off, Event(3, START + timedelta(days=1), Disbursed(1_000_000))], date(2020, 12, 1))


def test_terms_whose_level_payment_does_not_cover_the_interest_are_refused() -> None:
    terms = LoanTerms(EXAMPLE.program, 1_000_000, EXAMPLE.annual_rate * 8, 36, date(2020, 9, 9), date(2021, 9, 1))
    with pytest.raises(InvalidTerms, match="does not cover the interest of instalment 1"):
        replay(terms, [disbursed(terms)], date(2020, 9, 9))
    assert terms.program.first_period is FirstPeriod.ACTUAL_365


def _refusal(loan: LoanState, amount: int, day: date) -> str:
    with pytest.raises(InvalidInput) as refusal:
        check_payment(loan, amount, day, business_date=date(2020, 10, 9))
    return f"{refusal.value.errors[0].pointer}: {refusal.value.errors[0].message}"


def test_a_payment_is_positive_and_between_the_loan_s_beginning_and_today() -> None:
    loan = state(date(2020, 10, 9))
    check_payment(loan, 1, START, date(2020, 10, 9))
    check_payment(loan, 1, date(2020, 10, 9), date(2020, 10, 9))
    assert _refusal(loan, 0, START).startswith("/amount: must be above 0.00")
    assert _refusal(loan, 1, date(2020, 10, 10)) == "/effective_date: must not be after the business date, 2020-10-09"
    assert _refusal(loan, 1, date(2020, 9, 8)).startswith("/effective_date: must not be before 2020-09-09")


def test_a_paid_off_loan_refuses_payments_and_says_since_when() -> None:
    loan = state(date(2020, 10, 9), (date(2020, 9, 24), 1_001_850))
    with pytest.raises(WrongState, match="paid off on 2020-09-24") as refusal:
        check_payment(loan, 500, date(2020, 10, 9), date(2020, 10, 9))
    assert (refusal.value.code, refusal.value.state) == ("loan_paid_off", "paid_off")


def test_a_loan_that_has_not_begun_refuses_payments() -> None:
    with pytest.raises(WrongState, match="nothing has been paid out or taken over yet"):
        check_payment(replay(EXAMPLE, [], START).state, 500, START, START)


def test_a_preview_is_what_is_then_done() -> None:
    known = events((date(2020, 10, 9), LEVEL), (date(2020, 12, 20), 5000))
    seen = preview(EXAMPLE, known, 70_000, date(2020, 11, 9), date(2020, 12, 31))
    done = replay(EXAMPLE, [*known, Event(9, date(2020, 11, 9), PaymentReceived(70_000, "p9"))], date(2020, 12, 31))
    assert seen.state == done.state
    assert seen.allocation.lines == done.allocations["p9"].lines
    assert seen.allocation.amount == 70_000


def test_a_preview_does_not_look_beyond_its_day() -> None:
    with pytest.raises(InvalidInput, match="must not be after 2020-10-01"):
        preview(EXAMPLE, [disbursed()], 100, date(2020, 10, 2), date(2020, 10, 1))
