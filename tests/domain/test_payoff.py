"""What pays a loan off."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from domain.errors import WrongState
from domain.loan import LoanStatus
from domain.money import parse_amount
from domain.payoff import payoff_quote
from domain.plan import contract
from domain.program import Component, ExtraMoney, PayoffInterest
from domain.rates import Rates
from domain.replay import replay
from domain.scheduled import Scheduled
from domain.terms import LoanTerms
from domain.working import Book, OpenRow
from tests.domain.loans import EXAMPLE, LEVEL, assert_books_agree, run, state, under

CASE = Path(__file__).parents[3] / "shared" / "cases" / "example_loan.json"
PER_DIEM = under(payoff_interest=PayoffInterest.PER_DIEM)
PER_DIEM_TODAY = under(payoff_interest=PayoffInterest.PER_DIEM, payoff_counts_today=True)


@pytest.mark.skipif(not CASE.exists(), reason="the case file of the example loan is not beside the repository")
def test_the_printed_payoff_of_the_example_loan() -> None:
    archive = json.loads(CASE.read_text())["status_archive"]
    printed = archive["printed"]
    due_interest = parse_amount(printed["dueInterest"])

    def row(number: int, start: date, due: date, interest: int) -> OpenRow:
        return OpenRow(number, due, start, LEVEL - interest, interest)

    start = date.fromisoformat(printed["periodStart"])
    rows = [row(20, date(2022, 4, 9), start, due_interest), row(21, start, date(2022, 6, 9), 1810)]
    on = date.fromisoformat(archive["date"])
    book = Book(PER_DIEM_TODAY, Scheduled(), contract(PER_DIEM_TODAY).plan, Rates(PER_DIEM_TODAY.annual_rate), rows=rows)
    book.principal_balance = parse_amount(printed["principalBalance"])
    quote = Scheduled().payoff(book, on)
    assert quote.total == parse_amount(printed["payoff"]) == 901844
    assert quote.interest == due_interest + 329
    assert quote.per_diem == Fraction(890204 * 45, 1000 * 365)
    assert round(quote.per_diem) == parse_amount(printed["perdiem"])


def test_accrued_takes_the_period_s_interest_by_elapsed_days() -> None:
    loan = state(date(2020, 9, 24))
    quote = payoff_quote(loan)
    assert (quote.principal, quote.interest, quote.fees, quote.total) == (1_000_000, 1850, 0, 1_001_850)
    assert quote.interest == loan.accrued_interest
    assert quote.per_diem == loan.per_diem == Fraction(3699, 30)


def test_per_diem_counts_days_since_the_last_due_date_and_today_if_the_program_says_so() -> None:
    day = date(2020, 9, 24)  # 15 days after the contract date, 123.29 cents a day
    assert payoff_quote(state(day, terms=PER_DIEM)).interest == 1849
    assert payoff_quote(state(day, terms=PER_DIEM_TODAY)).interest == 1973
    paid = [(date(2020, 10, 9), LEVEL)]
    day = date(2020, 10, 9)
    assert payoff_quote(state(day, *paid, terms=PER_DIEM)).interest == 0
    assert payoff_quote(state(day, *paid, terms=PER_DIEM_TODAY)).interest == 120


@pytest.mark.parametrize(
    ("terms", "unearned"),
    [
        (EXAMPLE, 3699 - 2713),  # 22 of 30 days
        (PER_DIEM, 3699 - 2690),  # 9,739.52 x 4.5 % x 22 / 365, and 260.48 for the 15 days until it was paid
    ],
)
def test_interest_paid_ahead_of_its_days_comes_back_at_a_payoff(terms: LoanTerms, unearned: int) -> None:
    """15 USC 1615(a)(1): whoever prepays in full gets the unearned part of the interest back."""
    early, day = (date(2020, 9, 24), LEVEL), date(2020, 10, 1)
    loan = state(early[0], early, terms=terms)
    quote = payoff_quote(state(day, early, terms=terms))
    assert (quote.interest, quote.total) == (-unearned, loan.principal_balance - unearned)
    result = run(day, early, (day, quote.total), terms=terms)
    assert (result.state.status, result.state.unapplied) == (LoanStatus.PAID_OFF, 0)
    last = result.allocations["p2"]
    assert (last.interest, last.principal) == (-unearned, 1_000_000 - 26048)
    assert sum(result.accruals.values()) == 3699 - unearned
    assert sum(row.interest_paid for row in result.state.instalments) == 3699 - unearned
    assert_books_agree(result)


def test_interest_of_periods_paid_far_ahead_comes_back_at_a_payoff() -> None:
    terms = under(extra_money=ExtraMoney.ADVANCE_DUE)
    ahead, day = (date(2020, 9, 20), 18 * LEVEL), date(2020, 9, 21)
    quote = payoff_quote(state(day, ahead, terms=terms))
    earned = round(3699 * 12 / 30)
    assert quote.total == 1_000_000 + earned - 18 * LEVEL
    result = run(day, ahead, (day, quote.total), terms=terms)
    assert (result.state.status, result.state.unapplied) == (LoanStatus.PAID_OFF, 0)
    assert sum(result.accruals.values()) == earned
    assert_books_agree(result)


def test_a_cent_less_than_the_payoff_does_not_pay_off() -> None:
    for terms in (EXAMPLE, PER_DIEM, PER_DIEM_TODAY, under(extra_money=ExtraMoney.ADVANCE_DUE)):
        for paid in ([], [(date(2020, 9, 24), LEVEL)], [(date(2020, 9, 24), 3 * LEVEL)]):
            for day in (date(2020, 10, 1), date(2020, 10, 9), date(2020, 12, 30)):
                total = payoff_quote(state(day, *paid, terms=terms)).total
                assert state(day, *paid, (day, total - 1), terms=terms).status is LoanStatus.ACTIVE
                assert state(day, *paid, (day, total), terms=terms).status is LoanStatus.PAID_OFF


def test_past_due_interest_and_fees_are_in_the_payoff() -> None:
    day = date(2020, 10, 24)
    quote = payoff_quote(state(day))
    assert (quote.principal, quote.fees) == (1_000_000, 3000)
    assert quote.interest == 3699 + round(3652 * 15 / 31)


def test_a_quote_for_a_later_day_counts_the_instalments_due_by_then() -> None:
    quote = payoff_quote(state(date(2020, 10, 14)))
    assert quote.interest == 3699 + round(3652 * 5 / 31)


def test_after_the_last_due_date_the_payoff_grows_no_more() -> None:
    terms = PER_DIEM_TODAY
    loan = state(date(2023, 9, 12), terms=terms)
    later = [state(date(2023, 9, day), terms=terms) for day in (12, 20, 30)]
    assert {payoff_quote(each).total - each.fees_balance for each in later} == {1_070_831}
    assert loan.per_diem == 0


@pytest.mark.parametrize("terms", [EXAMPLE, PER_DIEM, PER_DIEM_TODAY])
@pytest.mark.parametrize("day", [date(2020, 9, 9), date(2020, 10, 8), date(2020, 10, 9), date(2021, 2, 14)])
def test_the_quoted_amount_pays_off_exactly(terms: LoanTerms, day: date) -> None:
    total = payoff_quote(state(day, terms=terms)).total
    loan = state(day, (day, total), terms=terms)
    assert (loan.status, loan.unapplied, loan.accrued_interest) == (LoanStatus.PAID_OFF, 0, 0)
    short = state(day, (day, total - 1), terms=terms)
    assert short.status is LoanStatus.ACTIVE


def test_a_payoff_by_per_diem_earns_what_it_collects() -> None:
    day = date(2021, 2, 14)
    total = payoff_quote(state(day, terms=PER_DIEM)).total
    result = run(day, (day, total), terms=PER_DIEM)
    assert sum(result.accruals.values()) == result.allocations["p1"].interest


def test_paying_every_instalment_pays_off_even_where_the_per_diem_quote_is_higher() -> None:
    rows = state(EXAMPLE.contract_date).instalments
    day = date(2023, 9, 8)  # the 31st day of the last period, today counted: more than a twelfth of the year's rate
    before = [(row.due_date, row.payment) for row in rows[:-1]]
    last = rows[-1].payment
    assert payoff_quote(state(day, *before, terms=PER_DIEM_TODAY)).total == last + 2
    loan = state(day, *before, (day, last), terms=PER_DIEM_TODAY)
    assert (loan.status, loan.paid_off_on, loan.unapplied) == (LoanStatus.PAID_OFF, day, 0)


_PRINCIPAL_FIRST = (Component.FEES, Component.PRINCIPAL, Component.INTEREST)


@pytest.mark.parametrize(
    ("paid", "left"),
    [
        ([500_000], 501_849),
        ([1_000_000], 1849),  # 15 days of 10,000.00 x 4.5 % / 365
        ([1_001_848], 1),
        ([500_000, 500_000, 1848], 1),
        ([500_000, 501_849], 0),
    ],
)
def test_principal_paid_before_its_interest_takes_none_of_the_period_s_days_away(paid: list[int], left: int) -> None:
    terms = replace(under(payoff_interest=PayoffInterest.PER_DIEM, allocation_order=_PRINCIPAL_FIRST), periods=1)
    day = date(2020, 9, 24)
    loan = state(day, *((day, amount) for amount in paid), terms=terms)
    assert loan.unapplied == 0
    if not left:
        assert loan.status is LoanStatus.PAID_OFF
        return
    quote = payoff_quote(loan)
    assert (loan.status, quote.total) == (LoanStatus.ACTIVE, left)
    assert quote.per_diem == loan.per_diem == Fraction(loan.principal_balance * 45, 1000 * 365)


@pytest.mark.parametrize("terms", [PER_DIEM, PER_DIEM_TODAY])
@pytest.mark.parametrize("order", [EXAMPLE.program.allocation_order, _PRINCIPAL_FIRST])
@pytest.mark.parametrize("short", [1, 100, 1800, 500_000])
def test_a_payoff_in_two_payments_of_a_day_costs_what_one_does(
    terms: LoanTerms, order: tuple[Component, ...], short: int
) -> None:
    terms = replace(terms, program=replace(terms.program, allocation_order=order))
    day = date(2020, 9, 24)
    total = payoff_quote(state(day, terms=terms)).total
    loan = state(day, (day, total - short), terms=terms)
    assert (loan.status, loan.unapplied, payoff_quote(loan).total) == (LoanStatus.ACTIVE, 0, short)


def test_an_instalment_whose_unearned_interest_a_payoff_cuts_is_paid_on_that_day() -> None:
    terms = under(allocation_order=_PRINCIPAL_FIRST, extra_money=ExtraMoney.ADVANCE_DUE)
    second = state(terms.contract_date, terms=terms).instalments[1]
    ahead = (date(2020, 9, 10), LEVEL + second.principal + 1)
    loan = state(date(2020, 9, 11), ahead, (date(2020, 9, 11), 1_000_000), terms=terms)
    assert (loan.status, loan.instalments[1].interest) == (LoanStatus.PAID_OFF, 0)
    assert [row.paid_on for row in loan.instalments] == [date(2020, 9, 10)] + 35 * [date(2020, 9, 11)]


def test_there_is_no_payoff_of_a_loan_that_is_not_active() -> None:
    loan = state(date(2020, 9, 24), (date(2020, 9, 24), 1_001_850))
    with pytest.raises(WrongState, match="paid_off"):
        payoff_quote(loan)
    with pytest.raises(WrongState, match="boarding"):
        payoff_quote(replay(EXAMPLE, [], date(2020, 9, 9)).state)
