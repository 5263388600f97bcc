"""Every published case, and as many made anew from seeds by programs that share no code with the engine."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from cli.cases import FORMATS, Run, read_file, run_case
from cli.cases import amortization as amortization_format
from cli.cases import apr as apr_format
from cli.cases import daycount as daycount_format
from cli.cases import servicing as servicing_format
from tests.domain import cases, independent, independent_servicing

FILES = ("example_loan.json", "amortization.json", "daycount.json", "apr.json", "instalment_servicing.json")


def published() -> list[Any]:
    """One parameter a case: (run, document, case)."""
    found = []
    for name in FILES:
        path = cases.DIRECTORY / name
        if not path.is_file():
            skip = pytest.mark.skip(reason=f"the numeric cases are not beside this repository: no {name}")
            found.append(pytest.param(None, None, None, id=f"no-{name}", marks=skip))
            continue
        file = read_file(path)
        found += [pytest.param(file.run, file.document, case, id=f"{path.stem}-{case_id}") for case_id, case in file.cases]
    return found


@pytest.mark.parametrize(("run", "document", "case"), published())
def test_published_case(run: Run, document: dict[str, Any], case: dict[str, Any]) -> None:
    difference = run_case(run, document, case)
    assert difference is None, difference


@pytest.mark.parametrize(("run", "document", "case"), published())
def test_a_published_case_is_of_one_format(run: Run, document: dict[str, Any], case: dict[str, Any]) -> None:
    assert [form.run for form in FORMATS.values() if form.keys <= case.keys()] == [run]


MADE: list[tuple[Callable[[int], dict[str, Any]], Run, int]] = [
    (independent.amortization, amortization_format.run, 150),
    (independent.day_count, daycount_format.run, 400),
    (independent.annual_rate, apr_format.run, 60),
]


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (independent_servicing.serviced, 700),
        (independent_servicing.paid_ahead, 150),
        (independent_servicing.paid_off, 150),
    ],
)
def test_serviced_loans_made_anew(make: Callable[[int], dict[str, Any]], count: int) -> None:
    for seed in range(count):
        case = make(seed)
        difference = run_case(servicing_format.run, case, case)
        assert difference is None, f"seed {seed}: {difference}"


@pytest.mark.parametrize(("make", "run", "count"), MADE, ids=["amortization", "daycount", "apr"])
def test_cases_made_anew(make: Callable[[int], dict[str, Any]], run: Run, count: int) -> None:
    for seed in range(count):
        case = make(seed)
        difference = run_case(run, {}, case)
        assert difference is None, f"seed {seed}: {difference}"


def altered(value: Any) -> Any:
    """Another value of the same form."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str() if value[0].isdigit():
            return str((int(value[0]) + 5) % 10) + value[1:]
        case str():
            return "0" + value[1:]
        case list():
            return [*value[:-1], altered(value[-1])]
        case dict():
            last = list(value)[-1]
            return {**value, last: altered(value[last])}
    raise TypeError(value)


NOT_FIGURES = {"id", "principal", "annual_rate_pct", "periods", "frequency", "first_due", "due_days", "convention"}
NOT_FIGURES |= {"start", "end", "advances", "payments", "unit_period", "published_decimals"}


@pytest.mark.parametrize(
    ("case", "run"),
    [
        # a monthly loan and a semimonthly one, with due dates
        *[(independent.amortization(seed), amortization_format.run) for seed in (7, 21)],
        *[(independent.day_count(seed), daycount_format.run) for seed in range(3)],
        (independent.annual_rate(1), apr_format.run),
    ],
)
def test_a_figure_that_is_not_the_engines_is_named(case: dict[str, Any], run: Run) -> None:
    figures = case.keys() - NOT_FIGURES
    assert figures
    for name in figures:
        wrong = copy.deepcopy(case)
        wrong[name] = altered(wrong[name])
        difference = run_case(run, {}, wrong)
        told = {"rows": "row ", "due_dates": "due date "}.get(name, name)
        assert difference is not None, name
        assert difference.startswith(told), difference


def test_formats_are_told_apart_by_their_keys() -> None:
    made = {
        "amortization": independent.amortization(1),
        "daycount": independent.day_count(1),
        "apr": independent.annual_rate(1),
    }
    for name, case in made.items():
        assert [known for known, form in FORMATS.items() if form.keys <= case.keys()] == [name]
