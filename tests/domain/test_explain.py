"""What is behind a figure: its lines, in plain lives of the example loan. Amounts in cents."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest

from domain.errors import WrongState
from domain.explain import Explanation, Figure, Line, LineKind, explain
from domain.program import InterestMethod, PayoffInterest
from domain.replay import replay
from domain.terms import LoanTerms
from tests.domain.loans import EXAMPLE, LEVEL, events, under

FIRST, SECOND = date(2020, 10, 9), date(2020, 11, 9)
RATE = Fraction(45, 1000)


def of(figure: Figure, on: date, *paid: tuple[date, int], terms: LoanTerms = EXAMPLE) -> Explanation:
    return explain(terms, events(*paid, terms=terms), on, figure)


def kinds(found: Explanation) -> list[tuple[LineKind, int]]:
    return [(line.kind, line.amount) for line in found.lines]


class TestInterest:
    def test_each_period_says_its_days_rate_principal_and_what_was_rounded(self) -> None:
        first, paid, second = of(Figure.ACCRUED_INTEREST, date(2020, 10, 24), (FIRST, LEVEL)).lines
        assert first == Line(
            LineKind.ACCRUAL, FIRST, 3699, date(2020, 9, 9), 30, RATE, 1_000_000, 1_000_000 * RATE * 30 / 365
        )
        assert (paid.kind, paid.on, paid.amount, paid.payment_id) == (LineKind.EVENT, FIRST, -3699, "p1")
        assert (second.since, second.on, second.days, second.principal) == (FIRST, date(2020, 10, 24), 15, 973_952)
        assert second.exact == 973_952 * RATE / 12 * 15 / 31
        assert second.amount == 1767

    def test_amounts_are_within_a_cent_of_the_exact_figures(self) -> None:
        found = of(Figure.ACCRUED_INTEREST, date(2022, 1, 17), (date(2020, 11, 2), LEVEL), (date(2021, 3, 1), 3 * LEVEL))
        accruals = [line for line in found.lines if line.kind is LineKind.ACCRUAL]
        assert len(accruals) > 12
        assert all(line.exact is not None and abs(line.exact - line.amount) < 1 for line in accruals)

    def test_interest_paid_ahead_of_its_days_is_earned_when_it_is_paid(self) -> None:
        found = of(Figure.ACCRUED_INTEREST, date(2020, 9, 19), (date(2020, 9, 19), LEVEL))
        assert kinds(found) == [(LineKind.ACCRUAL, 1233), (LineKind.EARNED, 2466), (LineKind.EVENT, -3699)]
        assert found.amount == 0

    @pytest.mark.parametrize("method", [InterestMethod.SIMPLE_DAILY])
    def test_daily_interest_is_borne_by_the_actual_principal(self, method: InterestMethod) -> None:
        terms = under(interest_method=method)
        found = of(Figure.ACCRUED_INTEREST, date(2020, 9, 29), (date(2020, 9, 19), 50_000), terms=terms)
        first, _, second = (line for line in found.lines)
        assert (first.days, first.principal, first.exact) == (10, 1_000_000, 1_000_000 * RATE * 10 / 365)
        left = replay(terms, events((date(2020, 9, 19), 50_000), terms=terms), date(2020, 9, 29)).state.principal_balance
        assert (second.days, second.principal) == (10, left)
        assert sum(line.amount for line in found.lines) == found.amount


class TestBalances:
    def test_principal_is_what_was_lent_less_what_each_payment_paid(self) -> None:
        found = of(Figure.PRINCIPAL_BALANCE, SECOND, (FIRST, LEVEL), (SECOND, LEVEL))
        assert [line.amount for line in found.lines] == [1_000_000, -26_048, -26_095]
        assert [line.payment_id for line in found.lines] == [None, "p1", "p2"]
        assert [line.event and line.event.sequence for line in found.lines] == [1, 2, 3]

    def test_a_fee_is_named_by_its_key_when_assessed_and_when_paid(self) -> None:
        found = of(Figure.FEES_BALANCE, date(2020, 12, 1), (date(2020, 11, 25), 20_00))
        key, second = "late_fee:2020-10-09", "late_fee:2020-11-09"
        assert [(line.kind, line.on, line.amount, line.fee_key) for line in found.lines] == [
            (LineKind.FEE, date(2020, 10, 20), 30_00, key),
            (LineKind.FEE, date(2020, 11, 20), 30_00, second),
            (LineKind.EVENT, date(2020, 11, 25), -20_00, key),
        ]

    def test_unapplied_money_is_what_payments_left_over(self) -> None:
        found = of(Figure.UNAPPLIED, date(2020, 12, 1), (date(2020, 9, 9), 1_000_500))
        assert kinds(found) == [(LineKind.EVENT, 500)]


class TestDelinquency:
    def test_days_past_due_count_from_the_oldest_instalment_not_paid(self) -> None:
        (line,) = of(Figure.DAYS_PAST_DUE, date(2020, 11, 30), (FIRST, LEVEL)).lines
        assert (line.since, line.days, line.amount, line.instalment_number) == (SECOND, 21, 21, 2)

    def test_what_is_past_due_names_instalments_and_their_payments(self) -> None:
        found = of(Figure.PAST_DUE_AMOUNT, date(2020, 11, 30), (date(2020, 10, 12), 100_00))
        first, paid, second = found.lines
        assert (first.kind, first.amount, first.instalment_number) == (LineKind.INSTALMENT, LEVEL, 1)
        assert (paid.kind, paid.amount, paid.payment_id, paid.instalment_number) == (LineKind.EVENT, -100_00, "p1", 1)
        assert (second.amount, second.instalment_number) == (LEVEL, 2)
        assert found.amount == 2 * LEVEL - 100_00

    def test_a_current_loan_has_no_lines(self) -> None:
        for figure in (Figure.PAST_DUE_AMOUNT, Figure.DAYS_PAST_DUE):
            assert of(figure, FIRST) == Explanation(figure, FIRST, 0, ())


class TestPayoff:
    def test_a_per_diem_payoff_shows_interest_due_and_the_days_since(self) -> None:
        terms = under(payoff_interest=PayoffInterest.PER_DIEM, payoff_counts_today=True)
        found = of(Figure.PAYOFF, date(2020, 10, 11), terms=terms)
        due, days = (line for line in found.lines if line.kind in (LineKind.INSTALMENT, LineKind.PER_DIEM))
        assert (due.amount, due.instalment_number) == (3699, 1)
        assert (days.days, days.rate, days.principal, days.exact) == (3, RATE, 1_000_000, 1_000_000 * RATE * 3 / 365)
        assert found.amount == 1_000_000 + 3699 + 370

    def test_interest_paid_ahead_comes_back(self) -> None:
        found = of(Figure.PAYOFF, date(2020, 9, 19), (date(2020, 9, 19), LEVEL))
        assert (LineKind.UNEARNED, -2466) in kinds(found)
        assert sum(line.amount for line in found.lines) == found.amount == 1_000_000 + 1233 - LEVEL

    def test_a_loan_that_is_paid_off_has_none(self) -> None:
        with pytest.raises(WrongState, match="paid_off"):
            of(Figure.PAYOFF, date(2020, 12, 1), (date(2020, 10, 1), 1_100_000))


def test_what_happens_later_is_not_in_it() -> None:
    found = of(Figure.PRINCIPAL_BALANCE, FIRST, (FIRST, LEVEL), (SECOND, LEVEL))
    assert [line.amount for line in found.lines] == [1_000_000, -26_048]
