"""Serviced instalment loans: {product, terms, timeline}, with the whole expected schedule after each step.

What happened becomes source events of a replay (cli/cases/timeline.py), and each expectation is compared with the replay
to the day the loan was last processed: the business date of the last close of business or transaction. The file's README
key says what its entries mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from cli.cases import recoveries
from cli.cases.compare import Checked, amount, check_figures, first_difference
from cli.cases.timeline import COMPONENTS, REPAYMENT, Timeline
from domain.errors import InvalidInput
from domain.events import ChargedFee, FeeCharged
from domain.loan import PENALTIES, Allocation, FeeKind, Instalment, LoanState, LoanStatus
from domain.money import format_amount
from domain.program import Component

_FIGURES: Final = frozenset(
    {"schedule", "totals", "transactions", "status", "outstanding", "overpaid", "all_installments_met"}
)
_NOT_FIGURES: Final = frozenset({"kind", "as_of"})
"""Of an expect entry."""
_NOT_MONEY: Final = frozenset({"n", "days", "due_date", "paid_date"})
_PORTIONS: Final = {"PRINCIPAL": "principal", "INTEREST": "interest", "FEE": "fees", "PENALTY": "penalties"}


def run(document: dict[str, Any], case: dict[str, Any]) -> str | None:
    """Every expectation of a timeline: rows, totals, repayments, status, outstanding and overpaid amounts."""
    loan = Timeline(document["products"][case["product"]], case["terms"])
    if not any(entry["kind"] == "expect" for entry in case["timeline"]):
        raise InvalidInput("the timeline has no expect entry, so it states no figure")
    for number, entry in enumerate(case["timeline"]):
        if entry["kind"] == "expect":
            check_figures("an expect entry", {name: entry[name] for name in entry.keys() - _NOT_FIGURES}, _FIGURES)
            difference = first_difference(_checked(loan, entry))
            if difference is not None:
                return f"expect {_expectation(case, number)} as of {entry['as_of']}, {difference}"
        else:
            loan.enter(entry)
    return None


def _expectation(case: dict[str, Any], number: int) -> int:
    return sum(entry["kind"] == "expect" for entry in case["timeline"][: number + 1])


def _checked(loan: Timeline, entry: Mapping[str, Any]) -> Iterator[Checked]:
    yield "business date", loan.business_date.isoformat(), entry["as_of"]
    scheduled = loan.only_scheduled()
    if scheduled is not None:
        yield from _schedule(entry, _rows(loan.principal, scheduled, [], [], []))
        return
    result = loan.replayed(loan.processed or loan.business_date)
    state = result.state
    instalments, allocations = recoveries.shown(result, loan.loan_terms().program)
    rows = _rows(loan.principal, instalments, _fees(loan, state), allocations.values(), result.chargebacks.values())
    yield from _schedule(entry, rows)
    if "transactions" in entry:
        yield from _repayments(loan, allocations, entry["transactions"])
    if "status" in entry:
        yield "status", _status(state), entry["status"]
    if "outstanding" in entry:
        outstanding = sum(row["outstanding"] for row in rows)
        yield "outstanding", format_amount(outstanding), format_amount(amount(entry["outstanding"]))
    if "overpaid" in entry:
        yield "overpaid", format_amount(state.unapplied), format_amount(amount(entry["overpaid"] or "0.00"))
    if entry.get("all_installments_met"):
        yield "all instalments met", not any(row["outstanding"] for row in rows), True


class _RowFee(NamedTuple):
    """A fee that is not the program's instalment fee, with the instalment it is due with (minor units)."""

    number: int
    penalty: bool
    amount: int
    paid: int
    paid_on: date | None


def _fees(loan: Timeline, state: LoanState) -> list[_RowFee]:
    """Fees that have been charged, and those that are known to be."""
    fees = [
        _RowFee(fee.instalment_number, fee.kind in PENALTIES, fee.amount, fee.paid, fee.paid_on)
        for fee in state.fees
        if fee.kind is not FeeKind.INSTALMENT
    ]
    for event in loan.others:
        if isinstance(event.body, FeeCharged) and event.effective_date > state.as_of:
            rows = [row for row in state.instalments if row.period_start < event.effective_date <= row.due_date]
            penalty = event.body.kind is ChargedFee.NSF
            fees += [_RowFee(row.number, penalty, event.body.amount, 0, None) for row in rows]
    return fees


def _rows(
    balance: int,
    instalments: Sequence[Instalment],
    fees: Iterable[_RowFee],
    payments: Iterable[Allocation],
    chargebacks: Iterable[Allocation],
) -> list[dict[str, Any]]:
    """The schedule as the file prints it, amounts in minor units; `balance` is the principal paid out."""
    result: list[dict[str, Any]] = []
    for row in instalments:
        charged = [fee for fee in fees if fee.number == row.number]
        credited = [back.principal for back in chargebacks if _is_due_with(row, back.effective_date, instalments[-1])]
        balance += sum(credited) - row.principal
        flat = row.fees + sum(fee.amount for fee in charged if not fee.penalty)
        penalties = sum(fee.amount for fee in charged if fee.penalty)
        due = row.principal + row.interest + flat + penalties
        paid = row.principal_paid + row.interest_paid + row.fees_paid + sum(fee.paid for fee in charged)
        early, late = _early_and_late(row, payments)
        days = [day for day in (row.paid_on, *(fee.paid_on for fee in charged)) if day is not None]
        result.append(
            {
                "n": row.number,
                "days": (row.due_date - row.period_start).days,
                "due_date": row.due_date.isoformat(),
                "paid_date": max(days).isoformat() if days and due == paid else None,
                "balance_after": balance,
                "principal": row.principal,
                "interest": row.interest,
                "fees": flat,
                "penalties": penalties,
                "due": due,
                "paid": paid,
                "paid_in_advance": early,
                "paid_late": late,
                "outstanding": due - paid,
            }
        )
    return result


def _is_due_with(row: Instalment, day: date, last: Instalment) -> bool:
    """Whether money charged back on `day` is due with the instalment: the first after that day, or the last one."""
    return row.period_start <= day < row.due_date or (row is last and day >= row.due_date)


def _early_and_late(row: Instalment, payments: Iterable[Allocation]) -> tuple[int, int]:
    """What was paid of an instalment before and after its due date."""
    early = late = 0
    for paid in payments:
        part = sum(line.amount for line in paid.lines if line.instalment_number == row.number)
        if paid.effective_date < row.due_date:
            early += part
        elif paid.effective_date > row.due_date:
            late += part
    return early, late


def _schedule(entry: Mapping[str, Any], rows: list[dict[str, Any]]) -> Iterator[Checked]:
    """Every figure of the rows and totals that the entry prints."""
    if "schedule" in entry:
        yield "number of rows", len(rows), len(entry["schedule"])
        for row, stated in zip(rows, entry["schedule"], strict=True):
            for name, value in stated.items():
                exact = name in _NOT_MONEY
                computed = row[name] if exact else format_amount(row[name])
                yield f"row {row['n']} {name}", computed, value if exact else format_amount(amount(value))
    for name, value in entry.get("totals", {}).items():
        yield f"total {name}", format_amount(sum(row[name] for row in rows)), format_amount(amount(value))


def _repayments(loan: Timeline, allocations: Mapping[str, Allocation], stated: list[Mapping[str, Any]]) -> Iterator[Checked]:
    """The repayments, undone ones too; other transactions are listed in ways of the file's source."""
    made = []
    for paid in loan.payments:
        where = paid.undone or allocations[paid.body.payment_id]
        parts = dict.fromkeys(Component, 0)
        for line in where.lines:
            parts[line.component] += line.amount
        figures = [paid.body.amount, *(parts[COMPONENTS[name]] for name in _PORTIONS)]
        made.append((paid.event.effective_date.isoformat(), paid.undone is not None, *map(format_amount, figures)))
    names = ("amount", *(_PORTIONS[name] for name in _PORTIONS))
    expected = [
        (item["date"], item.get("reverted", False), *(format_amount(amount(item[name])) for name in names))
        for item in stated
        if item["type"] == REPAYMENT
    ]
    yield "number of repayments", len(made), len(expected)
    for number, (computed, wanted) in enumerate(zip(sorted(made), sorted(expected), strict=True), 1):
        for name, value, figure in zip(("date", "reverted", *names), computed, wanted, strict=True):
            yield f"repayment {number} {name}", value, figure


def _status(state: LoanState) -> str:
    if state.status is LoanStatus.PAID_OFF:
        return "OVERPAID" if state.unapplied else "CLOSED_OBLIGATIONS_MET"
    return "ACTIVE"
