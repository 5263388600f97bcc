"""A loan as a lender prints it: {terms, expected}, the whole document being the case."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from cli.cases.compare import Checked, amount, amount_differences, check_figures, exactly, first_difference, periods
from domain.errors import InvalidTerms
from domain.origination import book
from domain.program import FirstPeriod, Program
from domain.terms import LoanTerms

_FIRST_PERIODS = {"actual/365": FirstPeriod.ACTUAL_365, "rate/12": FirstPeriod.REGULAR}


def run(document: dict[str, Any], case: dict[str, Any]) -> str | None:
    """The figures a loan is booked with."""
    return first_difference(_checked(terms_of(case), case["expected"]))


def terms_of(case: dict[str, Any]) -> LoanTerms:
    """The stated terms. Raises InvalidTerms for a convention that the format does not have."""
    stated = case["terms"]
    name, others = stated["first_period"], stated.get("other_periods", "rate/12")
    if name not in _FIRST_PERIODS or others != "rate/12" or not stated.get("last_payment_settles", True):
        raise InvalidTerms(f"first_period is one of {', '.join(_FIRST_PERIODS)}; other_periods is rate/12; the last settles")
    return LoanTerms(
        program=Program(first_period=_FIRST_PERIODS[name]),
        principal=amount(stated["principal"]),
        annual_rate=exactly(stated["annual_rate_pct"]) / 100,
        periods=periods(stated, "term_months"),
        contract_date=date.fromisoformat(stated["contract_date"]),
        first_due_date=date.fromisoformat(stated["first_payment_date"]),
    )


def _checked(terms: LoanTerms, expected: dict[str, Any]) -> Iterator[Checked]:
    booked = book(terms)
    schedule = booked.schedule
    figures = {
        "payment": schedule.level_payment,
        "final_payment": schedule.rows[-1].payment,
        "finance_charge": booked.finance_charge,
        "total_of_payments": booked.total_of_payments,
    }
    others = {
        "payment_count_level": sum(row.payment == schedule.level_payment for row in schedule.rows),
        "final_payment_date": schedule.rows[-1].due_date.isoformat(),
        "apr_pct_4dp": str(booked.apr),
    }
    check_figures("expected", expected, figures | others)
    yield from amount_differences(figures, expected)
    for name, computed in others.items():
        if name in expected:
            yield name, computed, expected[name]
