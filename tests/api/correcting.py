"""A preview of a correction against the database after it: everything that is promised happened, and nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Table, select

from domain.money import format_amount
from infra.db.models.archive import status_restatements
from infra.db.models.servicing import (
    instalments,
    journal_entries,
    journal_transfers,
    loan_fees,
    payments,
)
from infra.db.uow import UnitOfWork
from services import restating
from services.status_archive import Basis, status_on
from tests.services.lending import UowOf, loan_row

INSTALMENT = ("due_date", "payment", "principal", "interest", "principal_paid", "interest_paid", "status", "paid_on")
FEE = ("assessed_on", "amount", "paid", "waived")
ALLOCATION = ("effective_date", "principal_applied", "interest_applied", "fees_applied", "unapplied_amount")


def shown(value: Any) -> Any:
    """A value of a row as the API writes it."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return format_amount(value)
    return value.isoformat() if isinstance(value, date) else str(value)


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database says of a loan: by key, the figures of its instalments, fees and payments; and its journal."""

    instalments: dict[Any, dict[str, Any]]
    fees: dict[Any, dict[str, Any]]
    allocations: dict[Any, dict[str, Any]]
    entries: dict[UUID, tuple[Any, ...]]
    accrued: Counter[str]


async def stored(uow: UnitOfWork, loan_id: UUID) -> Stored:
    async def rows(table: Table, key: str, names: tuple[str, ...]) -> dict[Any, dict[str, Any]]:
        found = await uow.all(select(table).where(table.c.loan_id == loan_id))
        return {str(row[key]): {name: shown(row[name]) for name in names} for row in found}

    moved: dict[UUID, Counter[tuple[int, int, str]]] = {}
    for row in await uow.all(select(journal_transfers).where(journal_transfers.c.loan_id == loan_id)):
        line = (row["debit_account"], row["credit_account"], format_amount(row["amount"]))
        moved.setdefault(row["entry_id"], Counter())[line] += 1
    entries, accrued = {}, Counter[str]()
    for row in await uow.all(select(journal_entries).where(journal_entries.c.loan_id == loan_id)):
        lines = moved[row["id"]]
        head = (_key(row["entry_key"]), row["kind"], row["effective_date"].isoformat(), row["posting_date"].isoformat())
        entries[row["id"]] = (*head, tuple(sorted(lines.elements())))
        if row["kind"] == "accrual":
            for debit, _, amount in lines.elements():
                sign = 1 if debit in (1110, 9100, 9110) else -1
                accrued[row["entry_key"][-7:]] += sign * int(amount.replace(".", ""))
    return Stored(
        await rows(instalments, "number", INSTALMENT),
        await rows(loan_fees, "fee_key", FEE),
        await rows(payments, "id", ALLOCATION),
        entries,
        accrued,
    )


async def assert_kept(uow_of: UowOf, tenant: UUID, loan_id: UUID, promised: dict[str, Any], before: Stored) -> None:
    """The loan and its books are what the preview said, and what it did not name is as it was."""
    async with uow_of(tenant) as uow:
        after = await stored(uow, loan_id)
        loan = await loan_row(uow, loan_id)
    for name in ("principal_balance", "accrued_interest", "fees_balance", "unapplied_balance", "past_due_amount"):
        assert promised["after"][name] == format_amount(loan[name]), name
    for name in ("days_past_due", "delinquency_bucket", "status"):
        assert promised["after"][name] == loan[name], name
    _assert_changes(promised["instalments"], "number", before.instalments, after.instalments, INSTALMENT)
    _assert_changes(promised["fees"], "key", before.fees, after.fees, FEE)
    paid = [_renamed(change) for change in promised["allocations"]]
    _assert_changes(paid, "payment_id", before.allocations, after.allocations, ALLOCATION)
    posted = Counter(entry for key, entry in after.entries.items() if key not in before.entries)
    assert posted == Counter(_entry(entry) for entry in promised["journal"])
    assert all(entry["period"] == entry["posting_date"][:7] for entry in promised["journal"])
    net: Counter[int] = Counter()
    for entry in posted:
        for debit, credit, amount in entry[4]:
            net[debit] += int(amount.replace(".", ""))
            net[credit] -= int(amount.replace(".", ""))
    assert {line["code"]: line["net"] for line in promised["totals"]["accounts"]} == {
        code: format_amount(amount) for code, amount in net.items()
    }
    for month in promised["accruals"]:
        assert month["after"] == format_amount(after.accrued[month["month"]])
    assert promised["totals"]["journal"] == len(promised["journal"])


async def assert_restated(
    uow_of: UowOf, tenant: UUID, loan_id: UUID, correction_id: UUID, promised: dict[str, Any], page: int = 7
) -> None:
    """The process records the archived days that the preview's `archive` named, with the figures of the key days."""
    done = False
    while not done:
        async with uow_of(tenant) as uow:
            done = await restating.restate_page(uow, correction_id, page)
            await uow.commit()
    async with uow_of(tenant) as uow:
        table = status_restatements
        rows = await uow.all(select(table).where(table.c.correction_id == correction_id).order_by(table.c.as_of))
        days = [row["as_of"].isoformat() for row in rows]
        found = promised["archive"]
        assert found["complete"]
        assert (found["days"], found["first"], found["last"]) == (
            len(days),
            days[0] if days else None,
            days[-1] if days else None,
        )
        figures = Counter(name for row in rows for name in row["differs"])
        assert {item["figure"]: item["days"] for item in found["figures"]} == figures
        differs = {row["as_of"].isoformat(): row["differs"] for row in rows}
        for key_day in found["key_days"]:
            on = date.fromisoformat(key_day["as_of"])
            assert [figure["figure"] for figure in key_day["figures"]] == differs[key_day["as_of"]]
            archived = (await status_on(uow, loan_id, on, Basis.ARCHIVED)).status
            now = (await status_on(uow, loan_id, on, Basis.RESTATED)).status
            for figure in key_day["figures"]:
                name = figure["figure"]
                assert figure["archived"] in (shown(getattr(archived, name)), getattr(archived, name)), name
                assert figure["now"] in (shown(getattr(now, name)), getattr(now, name)), name


def _assert_changes(
    changes: list[dict[str, Any]], key: str, before: dict[Any, Any], after: dict[Any, Any], names: tuple[str, ...]
) -> None:
    named = {str(change[key]): change for change in changes}
    for item in before.keys() | after.keys():
        change = named.pop(item, None)
        if change is None:
            assert before.get(item) == after.get(item), item
            continue
        for side, rows in (("before", before), ("after", after)):
            told = change[side]
            assert (None if told is None else {name: told[name] for name in names}) == rows.get(item), (item, side)
    assert not named


def _renamed(change: dict[str, Any]) -> dict[str, Any]:
    """A payment that does not count is still a row, of which nothing is applied."""
    sides: dict[str, Any] = {}
    for side in ("before", "after"):
        told = change[side]
        if told is None:
            other = change["before" if side == "after" else "after"]
            told = dict.fromkeys(ALLOCATION, "0.00") | {"effective_date": other["effective_date"]}
        sides[side] = {**told, "unapplied_amount": told.get("overpayment", "0.00")}
    return {"payment_id": change["payment_id"], **sides}


def _entry(entry: dict[str, Any]) -> tuple[Any, ...]:
    lines = [(line["debit"]["code"], line["credit"]["code"], line["amount"]) for line in entry["transfers"]]
    return (_key(entry["key"]), entry["kind"], entry["effective_date"], entry["posting_date"], tuple(sorted(lines)))


def _key(key: str) -> str:
    """A refund's id is made when it is asked for, anew after its preview."""
    return "refund" if key.startswith("refund:") else key
