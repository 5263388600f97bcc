"""Board the loans of a tape: read it in chunks, convert each row, land each chunk in one transaction.

The loan number is what makes a loan land once: a run that was interrupted, or finished, is simply repeated. While the
database writes a chunk the next one is converted and replayed, a loan at a time: in a thread it would keep the one that
writes waiting for the interpreter.
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import Table, select

from domain.boarding import BoardedLoan, RejectedRow, Remark, TapeMapping, board_row
from domain.errors import InvalidInput
from domain.events import Event
from domain.happenings import Seen, happenings
from domain.history import Record
from domain.loan import LoanStatus
from domain.program import Frequency
from domain.replay import Replay, replay
from infra.db.bulk import insert_many, insert_new, plan_anew
from infra.db.models.servicing import booked_schedules, borrowers, instalments, loan_fees, loans
from infra.db.models.tenancy import audit_log
from infra.db.repositories.loans import CacheKey, append_records, fee_rows, instalment_rows, state_values
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services import ledger, outbox, programs
from services.loans import booked_values, contract_values
from services.programs import ProgramVersion

CHUNK = 1000
_EXTRA = "columns beyond the header"
_LONGEST_VALUE = 100
_UNKNOWN = Seen(str(LoanStatus.BOARDING), "")

_AUDIT_COLUMNS = (
    "tenant_id",
    "id",
    "actor_id",
    "actor_kind",
    "action",
    "object_type",
    "object_id",
    "after",
    "business_date",
    "recorded_at",
)

Row = tuple[int, Mapping[str, Any]]
"""The number of a line of the tape (the header is line 1) and its cells."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A cell that kept its row from landing."""

    row: int
    column: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Remarked:
    """A row that landed, and what an auditor should see of it."""

    row: int
    loan_number: str
    remark: Remark


@dataclass(slots=True)
class BoardingReport:
    """What became of the tape's rows: rows == boarded + already_there + the rows of `rejected`."""

    rows: int = 0
    boarded: int = 0
    already_there: int = 0
    rejected_rows: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    remarks: list[Remarked] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Landing:
    """A loan that is to land: `stored` and `booked` are the columns of its row and of its booked schedule."""

    loan: BoardedLoan
    replay: Replay
    stored: dict[str, Any]
    booked: dict[str, Any]


@dataclass(slots=True)
class _Chunk:
    """Converted rows: what is to land, and what was said of the rest."""

    rows: int = 0
    known: int = 0
    landing: list[_Landing] = field(default_factory=list)
    rejected_rows: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    remarks: list[Remarked] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Run:
    """What every chunk of a run needs. `seen`: loan numbers and the line each was first found on."""

    mapping: TapeMapping
    version: ProgramVersion
    as_of: date
    business_date: date
    seen: dict[str, int]


async def board(
    open_uow: Callable[[], UnitOfWork],
    tape: Iterable[str],
    mapping: TapeMapping,
    *,
    as_of: date | None = None,
    program_id: UUID | None = None,
    chunk: int = CHUNK,
    on_progress: Callable[[int], None] = lambda rows: None,
) -> BoardingReport:
    """Board every good row of a tape (lines of CSV with a header) that is not there yet.

    Arguments: `open_uow` opens a unit of work of the tenant; two are open at a time. `as_of`: the reporting date of the
        balances (default: the mapping's). `program_id`: what the loans are serviced by (default: the mapping's program,
        created when absent). `on_progress` is told how many rows are done.
    Raises InvalidInput when the tape lacks a mapped column, or the as-of date is missing or after the business date;
        NotFound or WrongState for the program. Rows never raise: they land or are in the report.
    """
    reader = csv.DictReader(tape, restkey=_EXTRA)
    _check_header(reader.fieldnames, mapping)
    run = await _prepare(open_uow, mapping, as_of, program_id)
    report = BoardingReport()
    chunks = _chunks(reader, chunk)
    converting = asyncio.ensure_future(_convert(open_uow, run, next(chunks)))
    try:
        while (ready := await converting).rows:
            converting = asyncio.ensure_future(_convert(open_uow, run, next(chunks, [])))
            landed = await _land(open_uow, run, ready.landing)
            report.rows += ready.rows
            report.boarded += landed
            report.already_there += ready.known + len(ready.landing) - landed
            report.rejected_rows += ready.rejected_rows
            report.rejected += ready.rejected
            report.remarks += ready.remarks
            on_progress(report.rows)
    finally:
        converting.cancel()
    return report


def _check_header(header: Sequence[str] | None, mapping: TapeMapping) -> None:
    missing = [column for column in mapping.columns.values() if column not in (header or ())]
    if missing:
        found = ", ".join(header or ()) or "none"
        raise InvalidInput(f"The tape has no column {', '.join(missing)}; its columns are: {found}.")


async def _prepare(
    open_uow: Callable[[], UnitOfWork], mapping: TapeMapping, as_of: date | None, program_id: UUID | None
) -> _Run:
    as_of = as_of or mapping.as_of
    if as_of is None:
        raise InvalidInput.at("/as_of", "the mapping has no as-of date: say as of when the tape's balances are")
    async with open_uow() as uow:
        business_date = await uow.business_date()
        if as_of > business_date:
            message = f"the tape's balances are as of {as_of}, after the business date {business_date}"
            raise InvalidInput.at("/as_of", message, code="date_in_future")
        program_id = program_id or await programs.ensure(uow, mapping.program_name, mapping.program)
        version = await programs.bookable(uow, program_id)
        if version.program.frequency is not Frequency.MONTHLY:
            detail = f"is paid {version.program.frequency}; a tape gives months, so it takes a monthly program"
            raise InvalidInput.at("/program", detail)
        await uow.commit()
    return _Run(mapping, version, as_of, business_date, {})


def _chunks(reader: csv.DictReader[str], size: int) -> Iterator[list[Row]]:
    numbered = _numbered(reader)
    while True:
        rows = list(islice(numbered, size))
        yield rows
        if not rows:
            return


def _numbered(reader: csv.DictReader[str]) -> Iterator[Row]:
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, {_EXTRA: str(error)}
            continue
        yield reader.line_num, cells


# --- convert ---


async def _convert(open_uow: Callable[[], UnitOfWork], run: _Run, rows: list[Row]) -> _Chunk:
    if not rows:
        return _Chunk()
    column = run.mapping.columns["loan_number"]
    texts = {str(cells.get(column) or "").strip() for _, cells in rows}
    numbers = sorted(text for text in texts if text.isprintable())  # others cannot even be asked for
    async with open_uow() as uow:
        statement = select(loans.c.loan_number).where(loans.c.loan_number.in_(numbers))
        known = set((await uow.execute(statement)).scalars())
    return await _convert_rows(run, rows, known)


async def _convert_rows(run: _Run, rows: list[Row], known: set[str]) -> _Chunk:
    chunk = _Chunk(rows=len(rows))
    for line, cells in rows:
        await asyncio.sleep(0)  # let what the database has answered go on
        try:
            loan = _read(run, line, cells)
        except RejectedRow as error:
            chunk.rejected_rows += 1
            chunk.rejected += [
                Rejected(line, wrong.pointer, str(cells.get(wrong.pointer) or "")[:_LONGEST_VALUE], wrong.message)
                for wrong in error.errors
            ]
            continue
        chunk.remarks += [Remarked(line, loan.loan_number, remark) for remark in loan.remarks]
        if loan.loan_number in known:
            chunk.known += 1
            continue
        chunk.landing.append(_prepare_landing(run, loan))
    chunk.landing.sort(key=lambda item: item.loan.loan_number)
    return chunk


def _prepare_landing(run: _Run, loan: BoardedLoan) -> _Landing:
    result = replay(loan.terms, [Event(1, run.as_of, loan.body)], run.business_date)
    agreed = contract_values(loan.terms, loan.booked, run.version, loan.loan_number)
    stored = {**agreed, **state_values(result.state), "last_sequence": 1, "source": "tape"}
    return _Landing(loan, result, stored, booked_values(loan.booked))


def _read(run: _Run, line: int, cells: Mapping[str, Any]) -> BoardedLoan:
    column = run.mapping.columns["loan_number"]
    if _EXTRA in cells:
        raise RejectedRow.at(_EXTRA, "the row is not of the header's columns")
    loan_number = str(cells.get(column) or "").strip()
    first = run.seen.setdefault(loan_number, line)
    if loan_number and first != line:
        raise RejectedRow.at(column, f"is the loan number of line {first} already")
    return board_row(run.mapping, run.version.program, cells, run.as_of)


# --- land ---


async def _land(open_uow: Callable[[], UnitOfWork], run: _Run, landing: Sequence[_Landing]) -> int:
    """Write loans and all that belongs to them in one transaction; returns how many were new."""
    if not landing:
        return 0
    async with open_uow() as uow:
        await plan_anew(uow)  # the chunk before has made the tables larger
        owners = await _land_borrowers(uow, [item.loan.loan_number for item in landing])
        candidates = {new_id(): item for item in landing}
        inserted = await _land_loans(uow, owners, candidates)
        new = {loan_id: item for loan_id, item in candidates.items() if loan_id in inserted}
        at, on = uow.recorded_at, run.business_date
        records = [(loan_id, Record(1, 1, run.as_of, item.loan.body, None, at, on)) for loan_id, item in new.items()]
        await append_records(uow, records)
        await _land_schedules(uow, new)
        await ledger.post(uow, {loan_id: item.replay for loan_id, item in new.items()})
        await _land_audit(uow, run, new)
        told = {loan_id: happenings(_UNKNOWN, [record], 1, new[loan_id].replay) for loan_id, record in records}
        await outbox.tell(uow, [(loan_id, 1, item) for loan_id, found in told.items() for item in found])
        await uow.commit()
    return len(new)


async def _land_borrowers(uow: UnitOfWork, numbers: Sequence[str]) -> dict[str, UUID]:
    """A borrower a loan, named by the loan's number (a tape has no personal data); returns ids by loan number."""
    columns = ("tenant_id", "id", "first_name", "last_name", "external_id")
    rows = [(uow.tenant_id, new_id(), "Borrower", number, number) for number in numbers]
    await insert_new(uow, borrowers, columns, rows)
    statement = select(borrowers.c.external_id, borrowers.c.id).where(borrowers.c.external_id.in_(numbers))
    return {row["external_id"]: row["id"] for row in await uow.all(statement)}


async def _land_loans(uow: UnitOfWork, owners: Mapping[str, UUID], candidates: Mapping[UUID, _Landing]) -> set[UUID]:
    rows = [
        {"tenant_id": uow.tenant_id, "id": loan_id, "borrower_id": owners[item.loan.loan_number], **item.stored}
        for loan_id, item in candidates.items()
    ]
    return await insert_new(uow, loans, list(rows[0]), (list(row.values()) for row in rows))


async def _land_schedules(uow: UnitOfWork, new: Mapping[UUID, _Landing]) -> None:
    tenant = uow.tenant_id
    booked = [{"tenant_id": tenant, "loan_id": loan_id, **item.booked} for loan_id, item in new.items()]
    if not booked:
        return
    await insert_many(uow, booked_schedules, list(booked[0]), (list(row.values()) for row in booked))
    states = {loan_id: item.replay.state for loan_id, item in new.items()}
    await _land_cache(uow, instalments, "number", instalment_rows(states))
    await _land_cache(uow, loan_fees, "fee_key", fee_rows(states))


async def _land_cache(uow: UnitOfWork, table: Table, key: str, rows: Mapping[CacheKey, dict[str, Any]]) -> None:
    if rows:
        columns = ("tenant_id", "loan_id", key, *next(iter(rows.values())))
        await insert_many(uow, table, columns, ((uow.tenant_id, *at, *row.values()) for at, row in rows.items()))


async def _land_audit(uow: UnitOfWork, run: _Run, new: Mapping[UUID, _Landing]) -> None:
    actor = (uow.actor.id, str(uow.actor.kind))
    rows = (
        (
            uow.tenant_id,
            new_id(),
            *actor,
            "loan.boarded",
            "loan",
            loan_id,
            {"loan_number": item.loan.loan_number, "status": item.stored["status"], "as_of": run.as_of.isoformat()},
            run.business_date,
            uow.recorded_at,
        )
        for loan_id, item in new.items()
    )
    await insert_many(uow, audit_log, _AUDIT_COLUMNS, rows)
