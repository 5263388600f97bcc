"""What pays a loan off."""

from __future__ import annotations

import json
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from domain.errors import InvalidInput, WrongState
from domain.loan import Instalment, InstalmentStatus, LoanStatus, LoanTerms
from domain.money import parse_amount
from domain.payoff import payoff_on, payoff_quote
from domain.program import PayoffInterest
from domain.replay import replay
from tests.domain.loans import EXAMPLE, LEVEL, events, run, state, under

CASE = Path(__file__).parents[3] / "shared" / "cases" / "example_loan.json"
PER_DIEM = under(payoff_interest=PayoffInterest.PER_DIEM)
PER_DIEM_TODAY = under(payoff_interest=PayoffInterest.PER_DIEM, payoff_counts_today=True)


@pytest.mark.skipif(not CASE.exists(), reason="the case file of the example loan is not beside the repository")
def test_the_printed_payoff_of_the_example_loan() -> None:
    archive = json.loads(CASE.read_text())["status_archive"]
    printed = archive["printed"]
    due_interest = parse_amount(printed["dueInterest"])

    def row(number: int, start: date, due: date, interest: int) -> Instalment:
        return Instalment(number, due, start, LEVEL, LEVEL - interest, interest, 0, 0, InstalmentStatus.PAST_DUE, None)

    start = date.fromisoformat(printed["periodStart"])
    rows = [row(20, date(2022, 4, 9), start, due_interest), row(21, start, date(2022, 6, 9), 1810)]
    on = date.fromisoformat(archive["date"])
    quote = payoff_on(PER_DIEM_TODAY, rows, parse_amount(printed["principalBalance"]), 0, on)
    assert quote.total == parse_amount(printed["payoff"]) == 901844
    assert quote.interest == due_interest + 329
    assert quote.per_diem == Fraction(890204 * 45, 1000 * 365)
    assert round(quote.per_diem) == parse_amount(printed["perdiem"])


def test_accrued_takes_the_period_s_interest_by_elapsed_days() -> None:
    loan = state(date(2020, 9, 24))
    quote = payoff_quote(EXAMPLE, loan, date(2020, 9, 24))
    assert (quote.principal, quote.interest, quote.fees, quote.total) == (1_000_000, 1850, 0, 1_001_850)
    assert quote.interest == loan.accrued_interest
    assert quote.per_diem == loan.per_diem == Fraction(3699, 30)


def test_per_diem_counts_days_since_the_last_due_date_and_today_if_the_program_says_so() -> None:
    day = date(2020, 9, 24)  # 15 days after the contract date, 123.29 cents a day
    assert payoff_quote(PER_DIEM, state(day, terms=PER_DIEM), day).interest == 1849
    assert payoff_quote(PER_DIEM_TODAY, state(day, terms=PER_DIEM_TODAY), day).interest == 1973
    paid = [(date(2020, 10, 9), LEVEL)]
    day = date(2020, 10, 9)
    assert payoff_quote(PER_DIEM, state(day, *paid, terms=PER_DIEM), day).interest == 0
    assert payoff_quote(PER_DIEM_TODAY, state(day, *paid, terms=PER_DIEM_TODAY), day).interest == 120


@pytest.mark.parametrize("terms", [EXAMPLE, PER_DIEM])
def test_what_was_paid_of_the_current_period_is_not_asked_for_again(terms: LoanTerms) -> None:
    loan = state(date(2020, 9, 24), (date(2020, 9, 24), LEVEL), terms=terms)
    quote = payoff_quote(terms, loan, date(2020, 10, 1))
    assert (quote.interest, quote.total) == (0, loan.principal_balance)


def test_past_due_interest_and_fees_are_in_the_payoff() -> None:
    day = date(2020, 10, 24)
    quote = payoff_quote(EXAMPLE, state(day), day)
    assert (quote.principal, quote.fees) == (1_000_000, 3000)
    assert quote.interest == 3699 + round(3652 * 15 / 31)


def test_a_quote_for_a_later_day_counts_the_instalments_due_by_then() -> None:
    quote = payoff_quote(EXAMPLE, state(date(2020, 10, 1)), date(2020, 10, 14))
    assert quote.interest == 3699 + round(3652 * 5 / 31)


def test_after_the_last_due_date_the_payoff_grows_no_more() -> None:
    terms = PER_DIEM_TODAY
    loan = state(date(2023, 9, 12), terms=terms)
    quotes = {payoff_quote(terms, loan, date(2023, 9, day)).total for day in (12, 20, 30)}
    assert quotes == {1_070_831 + loan.fees_balance}
    assert loan.per_diem == 0


@pytest.mark.parametrize("terms", [EXAMPLE, PER_DIEM, PER_DIEM_TODAY])
@pytest.mark.parametrize("day", [date(2020, 9, 9), date(2020, 10, 8), date(2020, 10, 9), date(2021, 2, 14)])
def test_the_quoted_amount_pays_off_exactly(terms: LoanTerms, day: date) -> None:
    total = payoff_quote(terms, state(day, terms=terms), day).total
    loan = state(day, (day, total), terms=terms)
    assert (loan.status, loan.unapplied, loan.accrued_interest) == (LoanStatus.PAID_OFF, 0, 0)
    short = state(day, (day, total - 1), terms=terms)
    assert short.status is LoanStatus.ACTIVE


def test_a_payoff_by_per_diem_earns_what_it_collects() -> None:
    day = date(2021, 2, 14)
    total = payoff_quote(PER_DIEM, state(day, terms=PER_DIEM), day).total
    result = run(day, (day, total), terms=PER_DIEM)
    assert sum(result.accruals.values()) == result.allocations["p1"].interest


def test_paying_every_instalment_pays_off_even_where_the_per_diem_quote_is_higher() -> None:
    rows = state(EXAMPLE.contract_date).instalments
    day = date(2023, 9, 8)  # the 31st day of the last period, today counted: more than a twelfth of the year's rate
    before = [(row.due_date, row.payment) for row in rows[:-1]]
    last = rows[-1].payment
    assert payoff_quote(PER_DIEM_TODAY, state(day, *before, terms=PER_DIEM_TODAY), day).total == last + 2
    loan = state(day, *before, (day, last), terms=PER_DIEM_TODAY)
    assert (loan.status, loan.paid_off_on, loan.unapplied) == (LoanStatus.PAID_OFF, day, 0)


def test_there_is_no_payoff_of_a_loan_that_is_not_active() -> None:
    loan = state(date(2020, 9, 24), (date(2020, 9, 24), 1_001_850))
    with pytest.raises(WrongState, match="paid_off"):
        payoff_quote(EXAMPLE, loan, date(2020, 9, 25))
    with pytest.raises(WrongState, match="boarding"):
        payoff_quote(EXAMPLE, replay(EXAMPLE, [], date(2020, 9, 9)).state, date(2020, 9, 9))


def test_a_quote_does_not_look_back() -> None:
    loan = replay(EXAMPLE, events(), date(2020, 9, 24)).state
    with pytest.raises(InvalidInput, match="must not be before 2020-09-24"):
        payoff_quote(EXAMPLE, loan, date(2020, 9, 23))
