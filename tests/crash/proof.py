"""What must hold when all is quiet again, whatever was killed: nothing lost, nothing doubled, books that balance."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import func, select
from temporalio.client import Client, WorkflowExecutionStatus

from infra.db.models.processes import (
    autopay_drafts,
    autopay_enrolments,
    payment_reversals,
    rail_transfers,
    workflow_intents,
)
from infra.db.models.rails import rail_entries, rail_files
from infra.db.models.servicing import instalments, loan_events, loans, payments
from infra.db.models.tenancy import audit_log, date_advances
from infra.db.models.webhooks import webhook_events
from infra.storage import ObjectStore
from tests.crash.load import Load, banking_day
from tests.crash.watch import DELIVERY, Entry
from tests.services.lending import assert_consistent

_ENDED_BADLY: Final = (
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT,
    WorkflowExecutionStatus.CANCELED,
)


async def open_work(load: Load) -> dict[str, int]:
    """How much of each kind is not finished yet; kinds with nothing left out. By rows, as the dispatcher sees them."""
    wanted: dict[str, Any] = {
        "intents": select(workflow_intents.c.id).where(workflow_intents.c.status == "pending"),
        "advances": select(date_advances.c.id).where(date_advances.c.status == "running"),
        "reversals": select(payment_reversals.c.id).where(payment_reversals.c.status != "completed"),
        "drafts": select(autopay_drafts.c.id).where(autopay_drafts.c.status == "pending"),
        "enrolments": select(autopay_enrolments.c.id).where(
            autopay_enrolments.c.next_process_date <= await load.lender.business_date()
        ),
    }
    counts = {kind: len(await load.lender.all(statement)) for kind, statement in wanted.items()}
    return {kind: count for kind, count in counts.items() if count}


async def assert_payments(load: Load) -> None:
    """Each that was asked for is there once, as it was answered; asked for again it is the first."""
    rows = await load.lender.all(select(payments).where(payments.c.source == "staff"))
    assert Counter(row["external_id"] for row in rows) == Counter(asked.external_id for asked in load.asked)
    found = {row["external_id"]: row for row in rows}
    for asked in load.asked:
        row = found[asked.external_id]
        assert (row["id"], row["loan_id"], row["amount"]) == (asked.payment_id, asked.loan_id, asked.amount)
        assert row["status"] == ("reversed" if asked.reversed else "completed")
    again = await asyncio.gather(*(load.pay(asked) for asked in load.asked))
    assert again == [asked.payment_id for asked in load.asked]
    await asyncio.gather(*(load.reverse(asked) for asked in load.asked if asked.reversed))
    counted = select(func.count()).select_from(payments).where(payments.c.source == "staff")
    assert [row["count"] for row in await load.lender.all(counted)] == [len(load.asked)]


async def assert_told_once(load: Load) -> None:
    """Each payment and each reversal is one line of the audit trail and one event of the feed."""
    rows = await load.lender.all(select(payments.c.id, payments.c.status))
    every, taken_back = {row["id"] for row in rows}, {row["id"] for row in rows if row["status"] == "reversed"}
    for what, ids in (("payment.recorded", every), ("payment.reversed", taken_back)):
        audited = await load.lender.all(select(audit_log.c.object_id).where(audit_log.c.action == what))
        assert Counter(row["object_id"] for row in audited) == Counter(ids), what
        told = await load.lender.all(select(webhook_events.c.payment_id).where(webhook_events.c.type == what))
        assert Counter(row["payment_id"] for row in told) == Counter(ids), what


async def assert_reversals(load: Load) -> None:
    """Each payment that was to be reversed was so once: one process, completed, one event, one fee, one letter."""
    wanted = [asked.payment_id for asked in load.asked if asked.reversed]
    rows = await load.lender.all(select(payment_reversals))
    assert Counter(row["payment_id"] for row in rows) == Counter(wanted)
    assert {(row["status"], row["step"], row["notice"]) for row in rows} <= {("completed", "done", "sent")}
    fees = await load.lender.all(select(loan_events.c.id).where(loan_events.c.kind == "fee_charged"))
    assert len(fees) == len(wanted)
    voided = await load.lender.all(select(loan_events.c.id).where(loan_events.c.kind == "voided"))
    assert len(voided) == len(wanted)
    letters = list((load.lender.settings.home / "outbox").glob("*.eml"))
    assert len([path for path in letters if any(str(row["id"]) in path.name for row in rows)]) == len(rows)


async def assert_drafts(load: Load) -> None:
    """Each due date of an enrolled loan that has come is drafted once: one row, one entry for the rail, one payment, and the
    instalment is paid."""
    through = banking_day(load.day)
    drafts = await load.lender.all(select(autopay_drafts))
    entries = {row["draft_id"]: row for row in await load.lender.all(select(rail_entries))}
    assert entries.keys() == {draft["id"] for draft in drafts}
    had = await _in_files(load) if load.by_file else await _in_the_table(load)
    assert had == Counter(row["amount"] for row in entries.values())
    taken = await load.lender.all(select(payments).where(payments.c.source == "autopay"))
    assert Counter(row["id"] for row in taken) == Counter(draft["payment_id"] for draft in drafts)
    amounts = {row["id"]: row["amount"] for row in taken}
    for draft in drafts:
        assert draft["amount"] == entries[draft["id"]]["amount"] == amounts[draft["payment_id"]] > 0
        assert draft["status"] in ("sent", "settled")
    for number, (loan_id, _) in enumerate(load.drafted[: load.enrolled], 1):
        firsts = [banking_day(number)] if banking_day(number) <= through else []
        dates = sorted(draft["process_date"] for draft in drafts if draft["loan_id"] == loan_id)
        assert dates[:1] == firsts, (loan_id, dates)
        assert len(dates) == await _dues(load, loan_id, through), (loan_id, dates)


async def _in_the_table(load: Load) -> Counter[int]:
    """The amounts that the sandbox's bank was given."""
    return Counter(row["amount"] for row in await load.lender.all(select(rail_transfers)))


async def _in_files(load: Load) -> Counter[int]:
    """The amounts in the files that lie in the store for the bank, which are those that are made again from the rows."""
    store, amounts = ObjectStore(load.lender.settings), Counter[int]()
    for row in await load.lender.all(select(rail_files)):
        content = await store.get(row["storage_key"])
        assert hashlib.sha256(content).hexdigest() == row["sha256"], row["name"]
        made_again = await load.client.get(f"/api/v1/rail/files/{row['id']}/content")
        assert made_again.content == content, row["name"]
        amounts.update(int(line[29:39]) for line in content.decode().splitlines() if line.startswith("6"))
    return amounts


async def _dues(load: Load, loan_id: Any, through: date) -> int:
    """How many instalments of a loan fell due until a banking day. Fails the test unless all are paid."""
    wanted = select(instalments.c.due_date, instalments.c.status).where(instalments.c.loan_id == loan_id)
    rows = [row for row in await load.lender.all(wanted) if row["due_date"] <= through]
    assert {row["status"] for row in rows} <= {"paid"}, (loan_id, rows)
    return len(rows)


async def assert_books(load: Load) -> None:
    """The trial balance is balanced, books and loans agree, what is stored is what a replay says: over HTTP and by rows."""
    assert Decimal((await load.see("/gl/trial-balance"))["total"]) == 0
    reconciled = await load.see("/gl/reconciliation")
    assert reconciled["reconciled"], reconciled
    checked = await load.see("/gl/cache-check?limit=200")
    every = [row["id"] for row in await load.lender.all(select(loans.c.id))]
    assert (checked["items"], checked["checked"]) == ([], len(every)), checked
    async with load.lender.uow() as uow:
        for loan_id in every:
            await assert_consistent(uow, loan_id)


async def assert_workflows(client: Client) -> None:
    """No workflow has failed."""
    wanted = " OR ".join(f'ExecutionStatus="{_title(status)}"' for status in _ENDED_BADLY)
    assert [found.id async for found in client.list_workflows(wanted)] == []


def assert_retried(log: list[Entry]) -> dict[str, int]:
    """By the log, more calls began than there were different ones: requests were made again, and so were steps of
    workflows. Returns how many were, of each kind."""
    calls = Counter((entry.what, entry.key) for entry in log if entry.event == "begin")
    again: Counter[str] = Counter()
    for (what, _), times in calls.items():
        kind = "requests" if what.startswith("POST") else "deliveries" if what == DELIVERY else "steps"
        again[kind] += times - 1
    assert again["requests"] > 0, again
    assert again["steps"] > 0, again
    return dict(again)


def _title(status: WorkflowExecutionStatus) -> str:
    return "".join(part.capitalize() for part in status.name.split("_"))
