"""The interest method `simple_daily`: every day bears interest on the principal unpaid that day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest

from domain.allocation import pay
from domain.changes import Deferred, RateChanged, ReAged, ReAmortized
from domain.events import Event, EventBody
from domain.loan import InstalmentStatus, LoanState, LoanStatus
from domain.payoff import payoff_quote
from domain.plan import Plan, contract
from domain.program import (
    AdvanceOrder,
    Component,
    DayCount,
    ExtraMoney,
    InterestMethod,
    LateFee,
    LateFeeKind,
    PayoffInterest,
    PeriodInterest,
    Program,
)
from domain.rates import Rates
from domain.replay import replay
from domain.simple_daily import SimpleDaily
from domain.terms import LoanTerms
from domain.working import Book
from tests.domain.loans import assert_books_agree, boarded, events, run, state

DAILY = Program(interest_method=InterestMethod.SIMPLE_DAILY)
LOAN = LoanTerms(DAILY, 1_000_000, Fraction(45, 1000), 36, date(2020, 9, 9), date(2020, 10, 9))
LEVEL = contract(LOAN).plan.level_payment
FIRST, SECOND = date(2020, 10, 9), date(2020, 11, 9)


def under(**program: object) -> LoanTerms:
    return replace(LOAN, program=replace(DAILY, **program))  # type: ignore[arg-type]


def splits(loan: LoanState, *numbers: int) -> list[tuple[int, int, int]]:
    """Payment, interest and principal of instalments."""
    return [(row.payment, row.interest, row.principal) for row in loan.instalments if row.number in numbers]


def days_of(*days_and_principals: tuple[int, int]) -> int:
    """Cents that days of a principal bear at 4.5 % / 365."""
    return round(sum(Fraction(days * principal * 45, 365_000) for days, principal in days_and_principals))


# What an instalment is


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"periods": 1},
        {"annual_rate": Fraction(0)},
        {"interest_only_periods": 6},
        {"balloon": 300_000},
        {"deferred_periods": 2, "first_due_date": date(2020, 12, 9)},
        {"level_payment": 60_000},
        {"contract_date": date(2020, 8, 21)},
    ],
)
@pytest.mark.parametrize("day_count", [DayCount.ACT_365F, DayCount.ACT_360, DayCount.ACT_ACT_ISDA, DayCount.ACT_ACT_FEB29])
def test_a_loan_begins_with_the_schedule_it_was_booked_with(changed: dict[str, object], day_count: DayCount) -> None:
    terms = replace(under(day_count=day_count, period_interest=PeriodInterest.PERIODIC), **changed)  # type: ignore[arg-type]
    rows = state(terms.contract_date, terms=terms).instalments
    booked = contract(terms).rows
    assert [(row.number, row.due_date, row.payment, row.interest) for row in rows] == [row[:4] for row in booked]
    paid = state(rows[-1].due_date, *((row.due_date, row.payment) for row in rows), terms=terms)
    assert (paid.status, paid.unapplied) == (LoanStatus.PAID_OFF, 0)
    assert [row[1:3] for row in splits(paid, *range(99))] == [(row.interest, row.principal) for row in booked]


def test_paid_early_less_is_interest_and_late_more() -> None:
    early = run(FIRST, (date(2020, 9, 30), LEVEL), terms=LOAN).allocations["p1"]
    on_time = run(FIRST, (FIRST, LEVEL), terms=LOAN).allocations["p1"]
    late = run(SECOND, (date(2020, 10, 19), LEVEL), terms=LOAN).allocations["p1"]
    assert [paid.interest for paid in (early, on_time, late)] == [2589, 3699, 4932]  # 21, 30 and 40 days
    assert {paid.interest + paid.principal for paid in (early, on_time, late)} == {LEVEL}


def test_a_late_instalment_is_paid_in_full_by_its_payment_and_the_last_one_is_larger() -> None:
    loan = state(date(2020, 10, 19), (date(2020, 10, 19), LEVEL), terms=LOAN)
    assert (loan.days_past_due, loan.past_due_amount, loan.accrued_interest) == (0, 0, 0)
    assert splits(loan, 1) == [(LEVEL, 4932, LEVEL - 4932)]
    on_time = contract(LOAN).rows
    assert splits(loan, 36)[0][0] - on_time[-1].payment == sum(row.interest for row in loan.instalments) - sum(
        row.interest for row in on_time
    )


def test_an_instalment_paid_early_leaves_the_days_after_it_to_the_next() -> None:
    loan = state(FIRST, (date(2020, 9, 30), LEVEL), terms=LOAN)
    balance = 1_000_000 - (LEVEL - 2589)
    assert loan.principal_balance == balance
    assert splits(loan, 2) == [(LEVEL, days_of((40, balance)), LEVEL - days_of((40, balance)))]


def test_a_past_due_instalment_splits_as_it_would_if_it_were_paid_today() -> None:
    for day, interest in ((FIRST, 3699), (date(2020, 10, 19), 4932), (date(2021, 6, 9), LEVEL)):
        loan = state(day, terms=LOAN)
        assert splits(loan, 1) == [(LEVEL, interest, LEVEL - interest)]
        assert sum(row.principal for row in loan.instalments) == 1_000_000


def test_interest_beyond_a_payment_is_carried_and_bears_nothing() -> None:
    start, days = LOAN.contract_date, 300
    loan = state(start + timedelta(days=days), terms=LOAN)
    owed = days_of((days, 1_000_000))
    assert (loan.accrued_interest, loan.principal_balance) == (owed, 1_000_000)
    assert splits(loan, 1, 2) == [(LEVEL, LEVEL, 0), (LEVEL, owed - LEVEL, 2 * LEVEL - owed)]
    paid = run(loan.as_of, (loan.as_of, LEVEL), terms=LOAN)
    assert (paid.allocations["p1"].interest, paid.allocations["p1"].principal) == (LEVEL, 0)
    assert paid.state.accrued_interest == owed - LEVEL
    assert paid.state.oldest_unpaid_due_date == SECOND


def test_unpaid_interest_is_carried_to_the_fraction_of_a_cent() -> None:
    """6 days of 123.2877 cents: 739.73. Two days' interest and 1 cent are paid twice, then everything."""
    days = [LOAN.contract_date + timedelta(days=n) for n in (2, 4, 6)]
    loan = run(days[2], (days[0], 100), (days[1], 100), (days[2], 1000), terms=LOAN)
    assert [paid.interest for paid in loan.allocations.values()] == [100, 100, 540]
    dropped = run(days[2], (days[0], 1000), (days[1], 1000), (days[2], 1000), terms=LOAN)
    assert [paid.interest for paid in dropped.allocations.values()] == [247, 246, 246]


def test_after_the_last_due_date_the_last_instalment_takes_what_is_left_and_grows() -> None:
    last = contract(LOAN).plan.due_dates[-1]
    then, later = (state(last + timedelta(days=days), terms=LOAN) for days in (0, 100))
    assert later.accrued_interest - then.accrued_interest == pytest.approx(days_of((100, 1_000_000)), abs=1)
    for loan in (then, later):
        assert (
            sum(row.payment for row in loan.instalments)
            == payoff_quote(loan).total
            == loan.next_due_amount + (0 if loan is then else loan.past_due_amount - loan.next_due_amount)
        )
        assert sum(row.principal for row in loan.instalments) == 1_000_000
    assert later.days_past_due == (later.as_of - FIRST).days


def test_the_late_fee_of_the_last_instalment_is_of_what_is_due_when_it_is_assessed() -> None:
    terms = under(late_fee=LateFee(LateFeeKind.PERCENT, percent=Fraction(1, 10)), grace_days=9)
    rows = contract(terms).rows
    paid = [(row.due_date, row.payment) for row in rows[:-1]]
    owed = rows[-1].payment + days_of((10, rows[-1].principal))
    for days in (10, 11, 40):
        loan = state(rows[-1].due_date + timedelta(days=days), *paid, terms=terms)
        assert [fee.amount for fee in loan.fees] == [round(Fraction(owed, 10))]


# Where money goes


def test_extra_money_shortens_the_loan_from_its_end() -> None:
    """The rest of the current instalment comes first."""
    day = date(2020, 10, 20)
    loan = state(day, (FIRST, LEVEL), (day, LEVEL + 100_000), terms=LOAN)
    assert [row.payment for row in loan.instalments[:-1]] == (len(loan.instalments) - 1) * [LEVEL]
    assert len(loan.instalments) == 33
    assert sum(row.principal for row in loan.instalments) == 900_000


def test_extra_money_pays_the_interest_accrued_since_on_top_of_the_paid_instalment() -> None:
    result = run(FIRST, (date(2020, 9, 30), LEVEL), (date(2020, 10, 4), 50_000), terms=LOAN)
    interest = days_of((4, 1_000_000 - (LEVEL - 2589)))
    extra = result.allocations["p2"]
    assert (extra.interest, extra.principal) == (interest, 50_000 - interest)
    assert extra.lines[-1].instalment_number is None
    assert splits(result.state, 1) == [(LEVEL + interest, 2589 + interest, LEVEL - 2589)]
    assert splits(result.state, 2)[0][0] == LEVEL


@pytest.mark.parametrize("order", AdvanceOrder)
def test_money_in_advance_is_all_principal(order: AdvanceOrder) -> None:
    terms = under(extra_money=ExtraMoney.ADVANCE_DUE, advance_order=order)
    result = run(FIRST, (FIRST, 3 * LEVEL), terms=terms)
    lines = [line for line in result.allocations["p1"].lines if line.instalment_number != 1]
    ahead = {line.instalment_number or 0: line.amount for line in lines}
    assert {line.component for line in lines} == {Component.PRINCIPAL}
    assert ahead[2] == LEVEL
    assert sum(ahead.values()) == 2 * LEVEL
    loan = result.state
    if order is AdvanceOrder.NEXT:
        assert ahead[3] == LEVEL
        assert [row.paid_on for row in loan.instalments[:4]] == [FIRST, FIRST, FIRST, None]
        assert loan.next_due_date == date(2021, 1, 9)
    else:
        assert (min(ahead), max(ahead)) == (2, 36)
        assert loan.next_due_date == date(2020, 12, 9)
    assert sum(row.principal for row in result.state.instalments) == 1_000_000


def test_a_paid_instalment_ahead_of_its_date_stays_paid_and_the_days_go_on_bearing() -> None:
    terms = under(extra_money=ExtraMoney.ADVANCE_DUE)
    loan = state(date(2021, 1, 1), (FIRST, 3 * LEVEL), terms=terms)
    balance = 1_000_000 - (3 * LEVEL - 3699)
    assert (loan.days_past_due, loan.accrued_interest) == (0, days_of((84, balance)))
    assert splits(loan, 2, 3) == [(LEVEL, 0, LEVEL), (LEVEL, 0, LEVEL)]
    assert splits(loan, 4)[0][:2] == (LEVEL, days_of((92, balance)))


def test_extra_money_can_stay_unapplied() -> None:
    result = run(FIRST, (FIRST, 2 * LEVEL + 5000), terms=under(extra_money=ExtraMoney.UNAPPLIED))
    assert result.allocations["p1"].unapplied == result.state.unapplied == 5000


def test_principal_before_interest_leaves_the_interest_owed() -> None:
    terms = under(allocation_order=(Component.FEES, Component.PRINCIPAL, Component.INTEREST))
    result = run(FIRST, (FIRST, 20_000), terms=terms)
    assert (result.allocations["p1"].principal, result.state.accrued_interest) == (20_000, 3699)
    assert splits(result.state, 1) == [(LEVEL, 3699, LEVEL - 3699)]


# Payoff


@pytest.mark.parametrize("day", [date(2020, 9, 9), date(2020, 9, 24), FIRST, date(2021, 2, 14), date(2024, 5, 1)])
@pytest.mark.parametrize("today", [False, True])
def test_payoff_is_principal_and_accrued_interest_rounded_once(day: date, today: bool) -> None:
    terms = under(payoff_interest=PayoffInterest.PER_DIEM, payoff_counts_today=today)
    quote = payoff_quote(state(day, terms=terms))
    days = (day - LOAN.contract_date).days
    assert (quote.principal, quote.interest) == (1_000_000, days_of((days + today, 1_000_000)))
    assert quote.per_diem == Fraction(1_000_000 * 45, 365_000)
    result = run(day, (day, quote.total), terms=terms)
    assert (result.state.status, result.state.unapplied) == (LoanStatus.PAID_OFF, 0)
    assert sum(result.accruals.values()) == quote.interest
    assert sum(row.principal for row in result.state.instalments) == 1_000_000
    assert state(day, (day, quote.total - 1), terms=terms).status is LoanStatus.ACTIVE
    assert_books_agree(result)


def test_per_diem_is_a_day_of_the_calendar() -> None:
    terms = under(day_count=DayCount.ACT_ACT_ISDA)
    for day, days_of_year in ((date(2020, 12, 31), 366), (date(2021, 1, 1), 365)):
        assert state(day, terms=terms).per_diem == Fraction(1_000_000 * 45, 1000 * days_of_year)


# Without interest on past-due principal


def test_without_interest_on_past_due_principal_late_costs_nothing() -> None:
    terms = under(past_due_interest=False)
    days = [row.due_date + timedelta(days=number % 27) for number, row in enumerate(contract(terms).rows)]
    late = run(days[-1], *zip(days, (row.payment for row in contract(terms).rows), strict=True), terms=terms)
    assert late.state.status is LoanStatus.PAID_OFF
    assert [row[:3] for row in splits(late.state, *range(99))] == [
        (row.payment, row.interest, row.principal) for row in contract(terms).rows
    ]
    assert_books_agree(late)


def test_without_it_nothing_accrues_after_the_last_due_date() -> None:
    terms = under(past_due_interest=False)
    interest = sum(row.interest for row in contract(terms).rows)
    for day in (date(2023, 9, 9), date(2024, 9, 9)):
        loan = state(day, terms=terms)
        assert payoff_quote(loan).total == 1_000_000 + interest
        assert loan.per_diem == 0


# Loans taken over, rates that change


def test_a_boarded_loan_goes_on_from_what_was_brought_in() -> None:
    opened = date(2021, 2, 20)
    first = Event(1, opened, boarded(principal=900_000, interest=4321, oldest=date(2021, 2, 9), level=LEVEL))
    result = run(date(2021, 3, 9), terms=LOAN, first=first)
    loan = result.state
    assert loan.accrued_interest == round(4321 + Fraction(17 * 900_000 * 45, 365_000))
    assert (loan.days_past_due, loan.past_due_amount, loan.instalments[0].number) == (28, LEVEL, 5)
    assert splits(loan, 5) == [(LEVEL, loan.accrued_interest, LEVEL - loan.accrued_interest)]
    assert sum(row.principal for row in loan.instalments) == 900_000
    assert_books_agree(result)


@pytest.mark.parametrize("day_count", [DayCount.ACT_365F, DayCount.ACT_ACT_FEB29])
def test_a_changed_rate_bears_from_its_day_on(day_count: DayCount) -> None:
    terms = under(day_count=day_count)
    book = _opened(terms)
    method = book.method
    method.bring(book, date(2020, 10, 19))
    book.rates = book.rates.changed(date(2020, 10, 19), Fraction(9, 100), date(2020, 10, 29))
    method.remake(book, date(2020, 10, 19))
    expected = Fraction(1_000_000 * (40 * 45 + 10 * 90 + 11 * 45), 365_000)
    assert method.earned(book, SECOND) == round(expected)
    method.foresee(book, SECOND)
    assert [row.interest for row in book.rows[:2]] == [round(expected), 0]
    assert sum(row.principal for row in book.rows) == 1_000_000


def test_a_changed_plan_holds_for_the_instalments_after_its_day() -> None:
    book = _opened(LOAN)
    pay(book, "p1", LEVEL, FIRST)
    book.plan = _moved(book.plan.with_level_payment(50_000), 1, 15)
    book.method.remake(book, FIRST)
    second = book.rows[1]
    balance = 1_000_000 - (LEVEL - 3699)
    assert (second.due_date, second.principal + second.interest) == (date(2020, 11, 24), 50_000)
    assert second.interest == days_of((46, balance))
    assert sum(row.principal for row in book.rows) == 1_000_000
    assert len(book.rows) < 36


def test_a_period_with_nothing_due_leaves_its_interest_to_the_next() -> None:
    book = _opened(LOAN)
    book.plan = book.plan.with_stated({1: 0, 2: 10_000})
    book.method.remake(book, LOAN.contract_date)
    book.method.foresee(book, date(2020, 11, 20))
    assert [(row.interest, row.principal) for row in book.rows[:2]] == [
        (0, 0),
        (days_of((72, 1_000_000)), 10_000 - days_of((72, 1_000_000))),
    ]
    assert book.rows[0].deferred


def modified(on: date, body: EventBody, *payments: tuple[date, int]) -> LoanState:
    return replay(LOAN, [*events(*payments, terms=LOAN), Event(99, on, body)], on).state


def test_a_re_aged_loan_pays_all_that_is_left_in_level_payments_interest_first() -> None:
    loan = modified(date(2021, 1, 20), ReAged(), (FIRST, LEVEL))
    assert (loan.days_past_due, loan.past_due_amount) == (0, 0)
    assert [row.status for row in loan.instalments[1:4]] == 3 * [InstalmentStatus.DEFERRED]
    to_come = loan.instalments[4:]
    assert to_come[0].interest == days_of((123, loan.principal_balance))  # since 9 October, never capitalised
    assert len({row.payment for row in to_come[:-1]}) == 1
    assert 0 <= to_come[0].payment - to_come[-1].payment < len(to_come)
    assert sum(row.principal for row in loan.instalments) == 1_000_000


def test_a_re_amortized_loan_is_level_to_its_new_end() -> None:
    loan = modified(date(2020, 10, 20), ReAmortized(24), (date(2020, 10, 5), LEVEL))
    to_come = loan.instalments[1:]
    assert (len(to_come), len({row.payment for row in to_come[:-1]})) == (24, 1)
    assert 0 <= to_come[0].payment - to_come[-1].payment < 24


def test_an_instalment_that_is_due_today_can_be_deferred() -> None:
    loan = modified(FIRST, Deferred(1, accrue=True, to_end=False))
    assert [row.status for row in loan.instalments[:2]] == [InstalmentStatus.DEFERRED, InstalmentStatus.SCHEDULED]
    assert splits(loan, 1, 2) == [(0, 0, 0), (LEVEL, days_of((61, 1_000_000)), LEVEL - days_of((61, 1_000_000)))]


def test_a_rate_can_be_reduced_until_the_last_due_date() -> None:
    last = contract(LOAN).plan.due_dates[-1]
    loan = modified(FIRST, RateChanged(Fraction(0), last, keep_payment=False), (FIRST, LEVEL))
    assert sum(row.interest for row in loan.instalments) == 3699
    assert len({row.payment for row in loan.instalments[1:-1]}) == 1


def test_waived_interest_counts_as_paid_and_no_more_than_is_owed_can_be() -> None:
    book = _opened(LOAN)
    assert book.method.waive_interest(book, 1_000_000, date(2020, 10, 19)) == 4932
    assert (book.rows[0].interest_waived, book.interest_paid) == (4932, 4932)
    assert book.method.payoff(book, date(2020, 10, 19)).total == 1_000_000
    assert sum(row.principal for row in book.rows) == 1_000_000


def test_money_charged_back_is_owed_with_the_current_instalment() -> None:
    book = _opened(LOAN)
    pay(book, "p1", LEVEL, FIRST)
    before = book.method.earned(book, date(2020, 10, 20))
    book.method.chargeback(book, 20_000, 1000, date(2020, 10, 20))
    assert book.method.earned(book, date(2020, 10, 20)) == before + 1000
    row = book.rows[1]
    assert row.principal + row.interest == LEVEL + 21_000
    assert sum(each.principal for each in book.rows) == 1_020_000


def test_money_charged_back_after_the_payoff_is_all_that_is_owed() -> None:
    book = _opened(LOAN)
    total = book.method.payoff(book, FIRST).total
    pay(book, "p1", total, FIRST)
    book.status = LoanStatus.ACTIVE
    on = date(2020, 10, 20)
    book.method.chargeback(book, 20_000, 1000, on)
    assert book.method.payoff(book, on).total == 21_000
    assert [(row.number, row.unpaid) for row in book.rows if row.unpaid] == [(2, 21_000 + days_of((20, 20_000)))]


def _opened(terms: LoanTerms) -> Book:
    book = Book(terms, SimpleDaily(), contract(terms).plan, Rates(terms.annual_rate))
    book.status, book.principal_balance = LoanStatus.ACTIVE, terms.principal
    book.method.open(book, 0, terms.contract_date)
    return book


def _moved(plan: Plan, first: int, days: int) -> Plan:
    dues = (*plan.due_dates[:first], *(day + timedelta(days=days) for day in plan.due_dates[first:]))
    return replace(plan, due_dates=dues, starts=(plan.starts[0], *dues[:-1]))
