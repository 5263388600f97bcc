"""The example loan of the reference documents: what its printed figures say about the conventions behind them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from domain.amortization import Schedule, amortize, build_schedule
from domain.apr import apr, round_apr
from domain.calendars import due_dates
from domain.money import format_amount, parse_amount
from domain.program import DayCount, FirstPeriod, Frequency, PeriodInterest
from domain.rounding import Rounding
from tests.domain import cases

LOAN = cases.load("example_loan.json")
TERMS: dict[str, Any] = LOAN["terms"]
PRINCIPAL = parse_amount(TERMS["principal"])
RATE = Fraction(TERMS["annual_rate_pct"]) / 100
CONTRACT_DATE = date.fromisoformat(TERMS["contract_date"])
DUE_DATES = due_dates(Frequency.MONTHLY, date.fromisoformat(TERMS["first_payment_date"]), TERMS["term_months"])


def schedule(first_period: FirstPeriod = FirstPeriod.ACTUAL_365, day_count: DayCount | None = None) -> Schedule:
    """The loan's schedule; the wrong conventions were computed half up and with the right level payment."""
    right = first_period is FirstPeriod.ACTUAL_365
    return build_schedule(
        PRINCIPAL,
        RATE,
        CONTRACT_DATE,
        DUE_DATES,
        frequency=Frequency.MONTHLY,
        first_period=first_period,
        period_interest=PeriodInterest.DAY_COUNT if day_count else PeriodInterest.PERIODIC,
        day_count=day_count or DayCount.ACT_365F,
        rounding=Rounding.HALF_EVEN if right else Rounding.HALF_UP,
        payment=None if right else parse_amount(LOAN["expected"]["payment"]),
    )


def test_the_apr_is_that_of_36_months_without_odd_days() -> None:
    loan = schedule()
    rate = apr([(CONTRACT_DATE, PRINCIPAL)], [(row.due_date, row.payment) for row in loan.rows])
    assert round_apr(rate, 6) == Decimal("4.496620")


def test_the_first_period_bears_its_actual_days_and_the_others_a_twelfth() -> None:
    rows = schedule().rows
    assert rows[0].interest == 36_99  # 10,000.00 x 4.5 % x 30 / 365
    assert rows[1].interest == round(Fraction(rows[0].balance) * RATE / 12)


def with_a_30_366_first_period() -> int:
    factors = [RATE * Fraction(30, 366), *[RATE / 12] * (len(DUE_DATES) - 1)]
    payment = parse_amount(LOAN["expected"]["payment"])
    return amortize(PRINCIPAL, payment, factors, DUE_DATES, rounding=Rounding.HALF_UP)[-1].payment


@pytest.mark.parametrize("wrong", LOAN["wrong_conventions"], ids=lambda wrong: wrong["convention"].replace(" ", "-"))
def test_wrong_convention_ends_in_another_payment(wrong: dict[str, str]) -> None:
    by_days = {
        "ACT/365 in every period": DayCount.ACT_365F,
        "ACT/ACT ISDA": DayCount.ACT_ACT_ISDA,
        "ACT/360": DayCount.ACT_360,
    }
    name = wrong["convention"]
    if name == "30/366 first period":
        final = with_a_30_366_first_period()
    elif name == "rate/12 in every period":
        final = schedule(FirstPeriod.REGULAR).rows[-1].payment
    else:
        final = schedule(FirstPeriod.REGULAR, by_days[name]).rows[-1].payment
    assert format_amount(final) == wrong["final_payment"]
    assert final != parse_amount(LOAN["expected"]["final_payment"])


def archived(field: str) -> str:
    text: str = LOAN["status_archive"]["printed"][field]
    return text


def test_archived_per_diem_is_the_balance_for_one_day_of_365() -> None:
    per_diem = parse_amount(archived("principalBalance")) * RATE / 365
    assert round(per_diem) == parse_amount(archived("perdiem"))


def test_archived_payoff_takes_the_per_diem_unrounded() -> None:
    # 9, 10 and 11 May: both ends counted. A per diem rounded first would give a cent more.
    owed = parse_amount(archived("principalBalance")) + parse_amount(archived("dueInterest"))
    per_diem = parse_amount(archived("principalBalance")) * RATE / 365
    fees = parse_amount(archived("payoffFees"))
    assert owed + round(3 * per_diem) + fees == parse_amount(archived("payoff"))
    assert owed + 3 * round(per_diem) + fees == parse_amount(archived("payoff")) + 1


def test_archived_dates_are_those_of_the_schedule() -> None:
    printed = LOAN["status_archive"]["printed"]
    today = date.fromisoformat(LOAN["status_archive"]["date"])
    following = next(day for day in DUE_DATES if day > today)
    assert printed["nextPaymentDate"] == following.isoformat()
    assert printed["periodStart"] == max(day for day in DUE_DATES if day <= today).isoformat()
    assert printed["periodsRemaining"] == sum(day >= following for day in DUE_DATES)
    assert printed["finalPaymentDate"] == DUE_DATES[-1].isoformat()
    assert printed["loanAge"] == (today - CONTRACT_DATE).days
