"""Loans serviced elsewhere, with their whole schedule after each step: the engine gives every figure of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cli.cases import servicing
from tests.domain import cases

NAME = "instalment_servicing.json"

CASES = cases.each(NAME)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return cases.load(NAME)


@pytest.mark.parametrize("case", CASES)
def test_case(document: dict[str, Any], case: dict[str, Any]) -> None:
    difference = servicing.run(document, case)
    assert difference is None, difference


@pytest.mark.parametrize("case", CASES)
def test_a_cent_more_of_interest_in_the_last_schedule_is_found(document: dict[str, Any], case: dict[str, Any]) -> None:
    changed = copy.deepcopy(case)
    printed = [entry for entry in changed["timeline"] if entry.get("schedule")]
    row = printed[-1]["schedule"][-1]
    row["interest"] = f"{float(row['interest']) + 0.01:.2f}"
    difference = servicing.run(document, changed)
    assert difference is not None
    assert f"row {row['n']} interest" in difference


def test_a_difference_names_the_expectation_the_day_and_the_figure(document: dict[str, Any]) -> None:
    case = copy.deepcopy(next(case for case in document["cases"] if case["id"] == "C3234"))
    entry = [entry for entry in case["timeline"] if entry["kind"] == "expect"][2]
    entry["schedule"][2]["interest"] = "0.49"
    computed = "row 3 interest is 0.42, stated 0.49"
    assert servicing.run(document, case) == f"expect 3 as of 2024-03-10, {computed}"


def test_an_entry_of_an_unknown_kind_is_refused(document: dict[str, Any]) -> None:
    case = copy.deepcopy(document["cases"][0])
    case["timeline"].append({"kind": "something_else"})
    with pytest.raises(Exception, match="something_else"):
        servicing.run(document, case)


def test_money_received_after_a_charge_off_is_shown_on_the_oldest_instalment(document: dict[str, Any]) -> None:
    case = copy.deepcopy(next(case for case in document["cases"] if case["id"] == "C3344"))
    charged_off = next(n for n, entry in enumerate(case["timeline"]) if entry["kind"] == "charge_off")
    before = case["timeline"][charged_off + 1]
    after = {"kind": "expect", "as_of": "2024-04-01", "schedule": copy.deepcopy(before["schedule"])}
    after["schedule"][1] |= {"paid_date": "2024-04-01", "paid": "17.01", "paid_late": "17.01", "outstanding": "0.00"}
    today = {"kind": "business_date", "date": "2024-04-01"}
    received = {"kind": "payment", "date": "2024-04-01", "amount": "17.01"}
    repayment = {"type": "Repayment", "amount": "17.01", "fees": "0.00", "penalties": "0.00", "reverted": False}
    after["transactions"] = [
        repayment | {"date": "2024-02-01", "principal": "16.43", "interest": "0.58"},
        repayment | {"date": "2024-04-01", "principal": "16.52", "interest": "0.49"},
    ]
    case["timeline"] = [*case["timeline"][: charged_off + 2], today, received, after]
    assert servicing.run(document, case) is None
    after["schedule"][1]["paid"] = "16.52"
    assert "row 2 paid" in str(servicing.run(document, case))
