"""What was paid of each instalment, and when: the allocations seen from the schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from domain.loan import Allocation
from domain.program import Component
from domain.replay import Replay


@dataclass(frozen=True, slots=True)
class InstalmentPayment:
    """What one payment paid of one instalment, in minor units; `interest` is negative where a payoff gave some back.

    `payment_id`: None for unapplied funds that were applied.
    """

    payment_id: str | None
    effective_date: date
    principal: int
    interest: int


def paid_by_instalment(result: Replay) -> dict[int, list[InstalmentPayment]]:
    """By number of the instalment, what was paid of it, in the order of the days.

    Principal paid of no instalment (a curtailment) and fees are left out.
    """
    paid: dict[int, list[InstalmentPayment]] = {}
    for name, allocation in sorted(_allocations(result), key=lambda each: each[1].effective_date):
        of: dict[int, dict[Component, int]] = {}
        for line in allocation.lines:
            if line.instalment_number is not None and line.component in (Component.PRINCIPAL, Component.INTEREST):
                sums = of.setdefault(line.instalment_number, {})
                sums[line.component] = sums.get(line.component, 0) + line.amount
        for number, sums in of.items():
            principal, interest = sums.get(Component.PRINCIPAL, 0), sums.get(Component.INTEREST, 0)
            paid.setdefault(number, []).append(InstalmentPayment(name, allocation.effective_date, principal, interest))
    return paid


def _allocations(result: Replay) -> Iterator[tuple[str | None, Allocation]]:
    yield from result.allocations.items()
    for allocation in result.applications.values():
        yield None, allocation
