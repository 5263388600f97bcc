"""Money received after a charge-off, as the source of the cases shows it: paid of the instalments, one after the other.

The engine keeps the instalments as they stood at the charge-off and recovers principal first; the amounts are the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from domain.loan import Allocation, AllocationLine, Instalment
from domain.program import AdvanceOrder, Component, Program
from domain.replay import Replay


def shown(result: Replay, program: Program) -> tuple[list[Instalment], dict[str, Allocation]]:
    """The instalments and allocations (by payment id) of a replay, with recoveries put to the instalments: those due
    oldest first, then those to come in the order of advance, each in the program's order of components."""
    rows = {row.number: row for row in result.state.instalments}
    allocations = dict(result.allocations)
    recovered = [item for item in allocations.values() if item.recovery]
    for item in sorted(recovered, key=lambda item: item.effective_date):
        due = [number for number, row in rows.items() if row.due_date <= item.effective_date]
        later = [number for number in rows if number not in due]
        order = [*due, *(later if program.advance_order is AdvanceOrder.NEXT else reversed(later))]
        lines = _pay(rows, order, item, program.allocation_order)
        allocations[item.payment_id] = item._replace(lines=tuple(lines))
    return list(rows.values()), allocations


def _pay(
    rows: dict[int, Instalment], order: Iterable[int], item: Allocation, components: Iterable[Component]
) -> list[AllocationLine]:
    lines = [line for line in item.lines if line.component not in (Component.PRINCIPAL, Component.INTEREST)]
    rest = item.principal + item.interest
    for number in order:
        for component in components:
            row = rows[number]
            if component is Component.INTEREST:
                part = min(rest, row.interest_unpaid)
                row = row._replace(interest_paid=row.interest_paid + part)
            elif component is Component.PRINCIPAL:
                part = min(rest, row.principal - row.principal_paid)
                row = row._replace(principal_paid=row.principal_paid + part)
            else:
                continue
            if part:
                rest -= part
                lines.append(AllocationLine(component, part, number))
                rows[number] = row if row.unpaid else row._replace(paid_on=item.effective_date)
    return lines
