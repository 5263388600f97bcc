"""Loans serviced elsewhere, with their whole schedule after each step: the engine gives every figure of it."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from cli.cases import servicing
from cli.cases.timeline import Timeline
from domain.errors import Refusal
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


def edited(document: dict[str, Any], case_id: str, edit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    case = copy.deepcopy(next(case for case in document["cases"] if case["id"] == case_id))
    edit(case)
    return case


def without_figures(case: dict[str, Any]) -> None:
    case["timeline"][-1] = {"kind": "expect", "as_of": case["timeline"][-1]["as_of"]}


def reverse_twice(case: dict[str, Any]) -> None:
    case["timeline"].append(next(entry for entry in case["timeline"] if entry["kind"] == "reverse_transaction"))


@pytest.mark.parametrize(
    ("case_id", "edit", "reason"),
    [
        ("C3152", lambda case: case["terms"].update(grace_interest_periods=1), "grace_interest_periods of the terms is 1"),
        ("C3152", lambda case: case["terms"].update(interest_type="FLAT"), "interest_type of the terms is 'FLAT'"),
        ("C3152", lambda case: case["terms"].update(n_installments=10**9), "n_installments must be a whole number"),
        ("C3152", without_figures, "an expect entry states no figure"),
        ("C3152", lambda case: case["timeline"][-1].update(balance="1.00"), "no known meaning: balance"),
        ("C3152", lambda case: case.update(timeline=case["timeline"][:-1]), "the timeline has no expect entry"),
        ("C3152", lambda case: case["timeline"].insert(1, case["timeline"][1]), "disbursed twice"),
        (
            "C3234",
            lambda case: case["timeline"].insert(1, case["timeline"][4]),
            "'payment' stands before the loan is disbursed",
        ),
        ("C3528", reverse_twice, "the payment of 2025-01-27 is reversed already"),
        ("C3528", lambda case: case["timeline"][7].update(type="Chargeback"), "only a Repayment can be reversed"),
        ("C3528", lambda case: case["timeline"][7].update(original_date="2025-01-28"), "no payment number 0 among 0"),
        ("C3445", lambda case: case["timeline"][-2].update(of_payment_nr=3), "no payment number 3 among 2"),
        ("C3213", lambda case: case["timeline"][1].update(rule="REAMORTIZATION"), "'REAMORTIZATION' for money in advance"),
    ],
)
def test_what_cannot_be_replayed_or_compared_is_refused(
    document: dict[str, Any], case_id: str, edit: Callable[[dict[str, Any]], None], reason: str
) -> None:
    with pytest.raises(Refusal, match=re.escape(reason)):
        servicing.run(document, edited(document, case_id, edit))


@pytest.mark.parametrize(
    ("option", "value"), [("compounding", "DAILY"), ("charge_off_behaviour", "ACCELERATE_MATURITY"), ("days_in_year", "364")]
)
def test_an_option_of_a_product_that_the_engine_has_not_is_refused(
    document: dict[str, Any], option: str, value: str
) -> None:
    case = next(case for case in document["cases"] if case["id"] == "C3213")
    product = document["products"][case["product"]] | {option: value}
    with pytest.raises(Refusal, match=value):
        servicing.run({"products": {case["product"]: product}}, case)


def test_an_expectation_of_another_day_is_a_difference(document: dict[str, Any]) -> None:
    case = edited(document, "C3152", lambda case: case["timeline"][-1].update(as_of="2023-12-13"))
    assert servicing.run(document, case) == "expect 1 as of 2023-12-13, business date is 2023-12-12, stated 2023-12-13"


def test_repayments_follow_their_own_rule_for_money_in_advance(document: dict[str, Any]) -> None:
    """C3289 pays ahead under LAST_INSTALLMENT as the rule of any transaction; as the rule of repayments it is the same."""
    for kind, passes in (("REPAYMENT", True), ("PAYOUT_REFUND", False)):
        case = edited(document, "C3289", lambda case, kind=kind: case["timeline"][1].update(transaction_type=kind))
        assert (servicing.run(document, case) is None) is passes


def test_a_rate_given_as_a_number_is_the_decimal_that_is_written(document: dict[str, Any]) -> None:
    case = edited(document, "C3153", lambda case: case["terms"].update(nominal_annual_rate_percent=9.4822))
    assert Timeline(document["products"][case["product"]], case["terms"]).loan_terms().annual_rate == Fraction("0.094822")
