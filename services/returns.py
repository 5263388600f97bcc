"""What came back from a bank: a file of answers, or what the sandbox's bank says; each answer is taken once.

Locks are taken in one order: loan, enrolment, draft, entry, answer.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as once
from sqlalchemy.engine import RowMapping

from domain.ach_changes import Correction, change_by, corrected
from domain.cases import CaseKind
from domain.errors import Conflict, Refusal
from domain.money import format_amount
from domain.nacha import Direction
from domain.nacha_returns import BankFile, ChangedEntry, ReturnedEntry, UnknownEntry, parse_returns
from domain.rails import EntryStatus
from infra.calendar import bank_holidays
from infra.crypto import Vault
from infra.db.models.rails import rail_answers, rail_return_files
from infra.db.repositories import autopay as autopay_repository
from infra.db.repositories import instruments as instrument_rows
from infra.db.repositories import payments as payment_rows
from infra.db.repositories import rail_entries
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from infra.rails import Returned
from infra.rails.sandbox import SandboxRail
from services import bank_returns, cases, instruments
from services.replaying import LockedLoan, lock_loan

WORKFLOW_TYPE: Final = "RailReturnsWorkflow"
_TEXT: Final = "latin-1"
"""Every byte is a character of it: the file is kept as it came."""


def workflow_id(file_id: UUID) -> str:
    """The id of a return file's workflow."""
    return f"rail-returns/{file_id}"


def _place(uow: UnitOfWork, what: str, row_id: UUID) -> str:
    return f"rail_{what}/{uow.tenant_id}/{row_id}"


async def upload(uow: UnitOfWork, vault: Vault, content: bytes) -> tuple[UUID, bool]:
    """Take a file that a bank sent; its answers are carried out by a workflow. Returns its id, and whether it is new: the
    same bytes are the same file. Raises InvalidInput when it does not fit together: then nothing of it is taken."""
    digest = hashlib.sha256(content).hexdigest()
    known = await uow.one_or_none(select(rail_return_files.c.id).where(rail_return_files.c.sha256 == digest))
    if known is not None:
        return known["id"], False
    parsed = await asyncio.to_thread(parse_returns, content)  # other requests go on meanwhile
    file_id = new_id()
    values = {
        "sha256": digest,
        "size": len(content),
        "origin": parsed.origin,
        "created_on": parsed.created_on,
        "id_modifier": parsed.id_modifier,
        "content_encrypted": vault.encrypt(content.decode(_TEXT), _place(uow, "return_files", file_id)),
        "status": "received",
        "received_on": await uow.business_date(),
        "created_by": uow.actor.id,
        "created_at": uow.recorded_at,
    }
    own = {"tenant_id": uow.tenant_id, "id": file_id}
    new = once(rail_return_files).values(**own, **values).on_conflict_do_nothing().returning(rail_return_files.c.id)
    if (await uow.execute(new)).one_or_none() is None:  # somebody else uploads it at this moment
        return await upload(uow, vault, content)
    rows = list(_answers(uow, vault, parsed, file_id, await _senders(uow, parsed)))
    if rows:
        await uow.execute(insert(rail_answers), rows)
    after = {"sha256": digest, "size": len(content), "answers": len(rows)}
    await uow.audit("rail_return_file.received", "rail_return_file", file_id, after=after)
    tenant_id = str(uow.tenant_id)
    await uow.intend(
        "start",
        WORKFLOW_TYPE,
        workflow_id(file_id),
        {"tenant_id": tenant_id, "file_id": str(file_id)},
        search_attributes={
            "TenantId": tenant_id,
            "WorkflowKind": "rail-returns",
            "BusinessDate": (await uow.business_date()).isoformat(),
            "Stage": "received",
        },
    )
    return file_id, True


_Answer = ReturnedEntry | ChangedEntry | UnknownEntry


async def _senders(uow: UnitOfWork, parsed: BankFile) -> dict[str, str]:
    said: tuple[_Answer, ...] = (*parsed.returns, *parsed.changes, *parsed.unknown)
    return await rail_entries.senders(uow, {item.original_trace for item in said})


def _answers(
    uow: UnitOfWork, vault: Vault, parsed: BankFile, file_id: UUID, senders: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    found: list[tuple[str, _Answer]] = []
    found += [("return", item) for item in parsed.returns]
    found += [("change", item) for item in parsed.changes]
    found += [("unknown", item) for item in parsed.unknown]
    for kind, item in sorted(found, key=lambda pair: pair[1].line):
        answer_id = new_id()
        data = getattr(item, "corrected_data", None)
        foreign = _foreign(item, senders.get(item.original_trace))
        yield {
            "tenant_id": uow.tenant_id,
            "id": answer_id,
            "file_id": file_id,
            "line": item.line,
            "kind": kind if foreign is None else "unknown",
            "code": item.code[:3],
            "trace_number": item.trace_number,
            "original_trace": (item.original_trace or None) if foreign is None else None,
            "answered_on": item.on,
            "amount": getattr(item, "amount", None),
            "corrected_encrypted": data and vault.encrypt(data, _place(uow, "answers", answer_id)),
            "outcome": "pending",
            "reason": getattr(item, "reason", None) if foreign is None else foreign,
            "created_at": uow.recorded_at,
        }


def _foreign(item: _Answer, sender: str | None) -> str | None:
    """Why an answer is not about our entry with its trace number, sent for the company `sender`; None when it may be. The
    entries of another lender at the same bank have the same numbers."""
    if sender is not None and item.company_id != sender.strip():
        return f"the entry {item.original_trace} of the company {item.company_id} came back, ours is of {sender}"
    if sender is not None and isinstance(item, ReturnedEntry) and item.direction is not Direction.DEBIT:
        return f"the entry {item.original_trace} that came back is a {item.direction}, and ours is a debit"
    return None


async def next_answers(uow: UnitOfWork, file_id: UUID, limit: int) -> tuple[UUID, ...]:
    """The next answers of a file that are to be taken, in the order of its lines."""
    table = rail_answers
    waiting = select(table.c.id).where(table.c.file_id == file_id, table.c.outcome == "pending")
    return tuple(row["id"] for row in await uow.all(waiting.order_by(table.c.line).limit(limit)))


async def progress(uow: UnitOfWork, file_id: UUID) -> dict[str, int]:
    """How many answers of a file have come to what; one with none left is done from now on. Raises NotFound."""
    found = select(rail_return_files).where(rail_return_files.c.id == file_id)
    row = await uow.one(found.with_for_update(), "return file")
    table = rail_answers
    counted = select(table.c.outcome, func.count().label("count")).where(table.c.file_id == file_id)
    sums = {item["outcome"]: int(item["count"]) for item in await uow.all(counted.group_by(table.c.outcome))}
    if not sums.get("pending") and row["status"] != "done":
        done = {"status": "done", "finished_at": uow.recorded_at}
        await uow.execute(update(rail_return_files).where(rail_return_files.c.id == file_id).values(**done))
        await uow.audit("rail_return_file.done", "rail_return_file", file_id, after=dict(sorted(sums.items())))
    return sums


async def take(uow: UnitOfWork, vault: Vault, answer_id: UUID) -> None:
    """Do what an answer says, once. Raises NotFound."""
    answer = await uow.one(select(rail_answers).where(rail_answers.c.id == answer_id), "answer")
    trace = answer["original_trace"]
    entry = None if trace is None else await rail_entries.by_trace(uow, trace)
    if answer["kind"] == "unknown":
        await _conclude(uow, answer_id, "review" if entry is not None else "unmatched", answer["reason"], entry)
    elif entry is None:
        await _conclude(uow, answer_id, "unmatched", f"no entry of ours has the trace number {trace}", None)
    elif answer["kind"] == "return" and answer["amount"] != entry["amount"]:
        said, sent = format_amount(answer["amount"]), format_amount(entry["amount"])
        await _conclude(uow, answer_id, "unmatched", f"{said} came back of an entry of {sent}", None)
    else:
        await _take(uow, vault, answer_id, entry["id"], entry["loan_id"], entry["draft_id"])


async def due(uow: UnitOfWork, on: date, limit: int) -> list[Returned]:
    """What the sandbox's bank says by a business date and was not taken."""
    return list(await SandboxRail(uow).came_back(on, limit))


async def take_said(uow: UnitOfWork, vault: Vault, said: Returned) -> None:
    """Do what the sandbox's bank says, once."""
    entry = await rail_entries.by_draft(uow, said.draft_id)
    loan = await lock_loan(uow, entry["loan_id"])
    if not await SandboxRail(uow).mark_taken(said):
        return
    answer_id = new_id()
    data = said.corrected and vault.encrypt(f"{said.corrected:29}", _place(uow, "answers", answer_id))
    await uow.add(
        rail_answers,
        id=answer_id,
        kind="return" if said.code[0] == "R" else "change",
        code=said.code,
        answered_on=said.on,
        amount=entry["amount"] if said.code[0] == "R" else None,
        corrected_encrypted=data,
        outcome="pending",
        created_at=uow.recorded_at,
    )
    await _take(uow, vault, answer_id, entry["id"], loan.id, said.draft_id)


async def _take(uow: UnitOfWork, vault: Vault, answer_id: UUID, entry_id: UUID, loan_id: UUID, draft_id: UUID) -> None:
    loan = await lock_loan(uow, loan_id)
    await autopay_repository.lock_enrolment(uow, (await autopay_repository.draft(uow, draft_id))["enrolment_id"])
    await autopay_repository.draft(uow, draft_id, lock=True)
    entry = await rail_entries.entry(uow, entry_id, lock=True)
    found = select(rail_answers).where(rail_answers.c.id == answer_id)
    answer = await uow.one(found.with_for_update(), "answer")
    if answer["outcome"] != "pending":
        return
    if answer["kind"] == "return":
        outcome, reason = await _return(uow, loan, entry, answer)
    else:
        outcome, reason = await _change(uow, vault, loan, entry, answer)
    await _conclude(uow, answer_id, outcome, reason, entry)


async def _return(uow: UnitOfWork, loan: LockedLoan, entry: RowMapping, answer: RowMapping) -> tuple[str, str | None]:
    code = answer["code"]
    if entry["status"] == EntryStatus.RETURNED:
        return "repeated", f"it came back as {entry['return_code']} on {entry['returned_on']} already"
    (payment,) = await payment_rows.payment_rows(uow, [entry["payment_id"]])
    values = {"status": str(EntryStatus.RETURNED), "returned_on": answer["answered_on"], "return_code": code}
    await rail_entries.change_entry(uow, entry["id"], **values)
    reason = await bank_returns.post(uow, loan, entry, payment, code)
    await bank_returns.note_late(uow, entry, code, answer["answered_on"])
    await cases.close_for(uow, CaseKind.DRAFT_IN_TRANSIT, [payment["id"]], f"the bank returned it: {code}")
    return ("posted", None) if reason is None else ("review", reason)


async def _change(
    uow: UnitOfWork, vault: Vault, loan: LockedLoan, entry: RowMapping, answer: RowMapping
) -> tuple[str, str | None]:
    """Correct the account as its bank says, at once. Where that cannot be, a case says until when a person has to."""
    table = rail_answers
    same = (table.c.entry_id == entry["id"], table.c.code == answer["code"], table.c.answered_on == answer["answered_on"])
    known = await uow.one_or_none(select(table.c.id).where(*same, table.c.outcome == "corrected"))
    if known is not None:
        return "repeated", "the account was corrected by it already"
    instrument_id, why = entry["payment_instrument_id"], f"{answer['code']}: notification of change from the bank"
    try:
        data = vault.decrypt(answer["corrected_encrypted"], _place(uow, "answers", answer["id"]))
        changes = _changes(corrected(answer["code"], data))
        await _check_as_sent(uow, vault, entry, changes)
        async with uow.savepoint():
            await instruments.change(uow, vault, loan.row["borrower_id"], instrument_id, changes, why)
    except Refusal as refusal:
        by = change_by(await uow.business_date(), bank_holidays())
        detail = f"{answer['code']}, to be made by {by} or before the next draft, whichever is later: {refusal.detail}"
        await cases.open_once(uow, CaseKind.RETURN_TO_REVIEW, loan.id, entry["payment_id"], detail)
        return "review", refusal.detail[:500]
    return "corrected", None


async def _check_as_sent(uow: UnitOfWork, vault: Vault, entry: RowMapping, changes: Mapping[str, Any]) -> None:
    """Refuse (Conflict) to correct what was changed since the entry was sent: the bank speaks of the account as it was."""
    instrument_id = entry["payment_instrument_id"]
    account = await instrument_rows.look_at(uow, instrument_id)
    sealed, _ = await instrument_rows.sealed(uow, instrument_id)
    place = instruments.sealed_place("account_number", uow.tenant_id, instrument_id)

    def whole(visible: Any, number: bytes | None) -> dict[str, Any]:
        return {**visible, "account_number": number and vault.decrypt(number, place)}

    was, now = whole(entry, entry["account_number_encrypted"]), whole(account or {}, sealed)
    changed = [name for name, value in changes.items() if now.get(name) not in (was[name], value)]
    if changed:
        raise Conflict(f"The account was changed since the entry was sent: {', '.join(changed)}.", code="account_changed")


def _changes(correction: Correction) -> dict[str, Any]:
    given = {
        "routing_number": correction.routing_number,
        "account_number": correction.account_number,
        "account_type": correction.account_type and str(correction.account_type),
        "account_holder_name": correction.individual_name,
    }
    return {name: value for name, value in given.items() if value is not None}


async def _conclude(uow: UnitOfWork, answer_id: UUID, outcome: str, reason: str | None, entry: RowMapping | None) -> None:
    values = {"outcome": outcome, "reason": reason and reason[:500], "entry_id": entry and entry["id"]}
    one = (rail_answers.c.id == answer_id, rail_answers.c.outcome == "pending")
    await uow.execute(update(rail_answers).where(*one).values(taken_on=await uow.business_date(), **values))
