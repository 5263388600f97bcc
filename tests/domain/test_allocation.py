"""The waterfall: in which order money pays what is due."""

from __future__ import annotations

from datetime import date

import pytest

from domain.loan import Allocation, AllocationLine
from domain.program import AllocationScope, Component
from tests.domain.loans import LEVEL, run, state, under

FEES, INTEREST, PRINCIPAL = Component.FEES, Component.INTEREST, Component.PRINCIPAL
DAY = date(2020, 11, 25)
"""Two instalments are past due (interest 36.99 and 36.52) with a late fee each of 30.00."""
INTEREST_1, INTEREST_2 = 3699, 3652
PRINCIPAL_1, PRINCIPAL_2 = LEVEL - INTEREST_1, LEVEL - INTEREST_2


def pay(amount: int, order: tuple[Component, ...], scope: AllocationScope) -> Allocation:
    return run(DAY, (DAY, amount), terms=under(allocation_order=order, allocation_scope=scope)).allocations["p1"]


def in_words(allocation: Allocation) -> list[str]:
    return [f"{line.component} {line.instalment_number} {line.amount}" for line in allocation.lines]


@pytest.mark.parametrize(
    ("order", "scope", "expected"),
    [
        (
            (FEES, INTEREST, PRINCIPAL),
            AllocationScope.COMPONENT,
            ["fees 1 3000", "fees 2 3000", "interest 1 3699", "interest 2 3652", f"principal 1 {PRINCIPAL_1}",
             "principal 2 601"],
        ),
        (
            (FEES, INTEREST, PRINCIPAL),
            AllocationScope.INSTALMENT,
            ["fees 1 3000", "interest 1 3699", f"principal 1 {PRINCIPAL_1}", "fees 2 3000", "interest 2 3652",
             "principal 2 601"],
        ),
        (
            (PRINCIPAL, INTEREST, FEES),
            AllocationScope.COMPONENT,
            [f"principal 1 {PRINCIPAL_1}", "principal 2 13952"],
        ),
        (
            (INTEREST, PRINCIPAL, FEES),
            AllocationScope.INSTALMENT,
            ["interest 1 3699", f"principal 1 {PRINCIPAL_1}", "fees 1 3000", "interest 2 3652", "principal 2 3601"],
        ),
    ],
)  # fmt: skip
def test_order_and_scope(order: tuple[Component, ...], scope: AllocationScope, expected: list[str]) -> None:
    assert in_words(pay(40_000, order, scope)) == expected


def test_a_paid_instalment_s_fee_still_belongs_to_it() -> None:
    terms = under(allocation_order=(INTEREST, PRINCIPAL, FEES), allocation_scope=AllocationScope.INSTALMENT)
    result = run(DAY, (date(2020, 10, 25), LEVEL), (DAY, 4000), terms=terms)
    assert in_words(result.allocations["p1"]) == ["interest 1 3699", f"principal 1 {PRINCIPAL_1}"]
    assert in_words(result.allocations["p2"]) == ["fees 1 3000", "interest 2 1000"]
    assert result.allocations["p2"].lines[0].fee_key == "late_fee:2020-10-09"


def test_after_what_is_due_the_current_instalment_and_only_then_a_curtailment() -> None:
    everything = 2 * LEVEL + 6000
    allocation = pay(everything + LEVEL + 100, (FEES, INTEREST, PRINCIPAL), AllocationScope.COMPONENT)
    assert in_words(allocation)[-3:] == ["interest 3 3554", f"principal 3 {LEVEL - 3554}", "principal None 100"]
    assert allocation.lines[-1] == AllocationLine(PRINCIPAL, 100)
    assert (allocation.fees, allocation.interest) == (6000, INTEREST_1 + INTEREST_2 + 3554)
    assert allocation.amount == everything + LEVEL + 100


def test_on_a_due_date_the_new_period_has_begun_so_money_beyond_it_pays_ahead() -> None:
    loan = state(date(2020, 10, 9), (date(2020, 10, 9), LEVEL + 5000))
    assert (loan.instalments[1].interest_paid, loan.instalments[1].principal_paid) == (INTEREST_2, 5000 - INTEREST_2)
    assert len(loan.instalments) == 36


def test_a_payoff_s_money_is_told_instalment_by_instalment() -> None:
    allocation = run(DAY, (DAY, 2_000_000)).allocations["p1"]
    assert allocation.principal == 1_000_000
    assert sum(line.amount for line in allocation.lines if line.component is PRINCIPAL) == 1_000_000
    assert {line.instalment_number for line in allocation.lines if line.component is PRINCIPAL} == set(range(1, 37))
    assert allocation.interest == INTEREST_1 + INTEREST_2 + round(3554 * 16 / 30)
    assert allocation.unapplied == 1_000_000 - allocation.interest - allocation.fees
