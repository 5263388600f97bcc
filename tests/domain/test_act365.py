"""Published simple-interest schedules, and others simulated here day by day."""

from __future__ import annotations

import copy
from calendar import isleap, monthrange
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from cli.cases import act365
from domain.errors import InvalidTerms
from tests.domain import cases

NAME = "act365_schedules.json"


@pytest.mark.parametrize("case", cases.each(NAME))
def test_published(case: dict[str, Any]) -> None:
    assert act365.run({}, case) is None


@pytest.mark.parametrize("case", cases.each(NAME))
def test_a_cent_more_in_any_figure_is_found(case: dict[str, Any]) -> None:
    published = case["published"]
    figures = [*published["rows"].values(), *published.get("by_year", {}).values(), published.get("totals", {})]
    for index, stated in enumerate(figures):
        for name, value in stated.items():
            changed = copy.deepcopy(case)
            of = changed["published"]
            target = [*of["rows"].values(), *of.get("by_year", {}).values(), of.get("totals", {})][index]
            target[name] = str(Decimal(value) + Decimal("0.01"))
            difference = act365.run({}, changed)
            assert difference is not None
            assert name in difference


@pytest.mark.parametrize(
    ("number", "payment"),
    [("SCE-equal", "856.92"), ("SCE-skips", "253.55")],
)
def test_a_payment_that_is_not_stated_is_the_level_one(number: str, payment: str) -> None:
    inputs = next(case["inputs"] for case in cases.load(NAME)["cases"] if case["id"] == number)
    unstated = {name: value for name, value in inputs.items() if name != "payment"}
    assert act365.schedule(unstated)[0] == act365.schedule(inputs)[0]
    assert act365.schedule(inputs)[0].payment == int(Decimal(payment) * 100)


@pytest.mark.parametrize(
    "wrong",
    [{"n": 0}, {"n": "12"}, {"first_payment": "2022-08-22"}, {"skip_months": list(range(1, 13)), "payment": None}],
)
def test_inputs_that_make_no_schedule_are_refused(wrong: dict[str, Any]) -> None:
    inputs = {"principal": "1000.00", "annual_rate_pct": "6", "loan_date": "2022-08-22", "first_payment": "2022-10-01"}
    stated = {name: value for name, value in {**inputs, "n": 12, **wrong}.items() if value is not None}
    with pytest.raises(InvalidTerms):
        act365.schedule(stated)


@pytest.mark.parametrize("seed", range(60))
def test_simulated(seed: int) -> None:
    """Every row of loans drawn at random, against a simulation that knows nothing but days and cents."""
    inputs = _drawn(Random(seed))
    rows = _simulated(inputs)
    published = {str(number): row for number, row in enumerate(rows, 1)}
    assert act365.run({}, {"inputs": inputs, "published": {"rows": published}}) is None


def _drawn(random: Random) -> dict[str, Any]:
    start = date(2019, 1, 1) + timedelta(days=random.randrange(2500))
    count = random.randint(1, 72)
    principal = random.randint(50_000, 3_000_000)
    inputs: dict[str, Any] = {
        "principal": _money(principal),
        "annual_rate_pct": str(Decimal(random.randint(0, 2500)) / 100),
        "loan_date": start.isoformat(),
        "first_payment": (start + timedelta(days=random.randint(5, 60))).isoformat(),
        "n": count,
        "day_count": random.choice(["ACT/365F", "ACT/365F", "ACT/360", "ACT/ACT ISDA"]),
        "final_settles": random.random() < 0.6,
    }
    if random.random() < 0.4:
        inputs["skip_months"] = sorted(random.sample(range(1, 13), random.randint(1, 4)))
    share = principal // (count * 2) if count > 1 else principal
    inputs["payment" if random.random() < 0.7 else "principal_payment"] = _money(share)
    return inputs


def _simulated(inputs: dict[str, Any]) -> list[dict[str, str]]:
    balance, rate = _cents(inputs["principal"]), Fraction(inputs["annual_rate_pct"]) / 100
    day, first = date.fromisoformat(inputs["loan_date"]), date.fromisoformat(inputs["first_payment"])
    carried, rows = Fraction(0), []
    for number in range(inputs["n"]):
        due = _months_after(first, number)
        while day < due:
            carried += balance * rate * _part_of_a_year(inputs["day_count"], day)
            day += timedelta(days=1)
        begin, interest, principal = balance, 0, 0
        owed = int(Decimal(carried.numerator * 1000 // carried.denominator).scaleb(-3).quantize(Decimal(1), ROUND_HALF_UP))
        settles = inputs["final_settles"] and number == inputs["n"] - 1
        if settles:
            interest, principal = owed, balance
        elif due.month not in inputs.get("skip_months", ()):
            if "payment" in inputs:
                interest = min(owed, _cents(inputs["payment"]))
                principal = _cents(inputs["payment"]) - interest
            else:
                interest, principal = owed, min(_cents(inputs["principal_payment"]), balance)
        carried = Fraction(0) if interest and interest == owed else carried - interest
        balance -= principal
        figures = (begin, interest + principal, interest, principal, balance)
        rows.append(dict(zip(("begin", "payment", "interest", "principal", "end"), map(_money, figures), strict=True)))
    return rows


def _part_of_a_year(day_count: str, day: date) -> Fraction:
    return Fraction(1, {"ACT/365F": 365, "ACT/360": 360}.get(day_count) or 365 + isleap(day.year))


def _months_after(first: date, number: int) -> date:
    year, month = divmod(first.year * 12 + first.month - 1 + number, 12)
    return date(year, month + 1, min(first.day, monthrange(year, month + 1)[1]))


def _cents(text: str) -> int:
    return int(Decimal(text) * 100)


def _money(cents: int) -> str:
    return str(Decimal(cents).scaleb(-2))
