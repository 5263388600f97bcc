"""Files of payments and their rows, written and locked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import RowMapping

from infra.db.bulk import insert_many
from infra.db.models.payment_batches import payment_batch_rows, payment_batches
from infra.db.models.servicing import loans
from infra.db.pipeline import Write
from infra.db.uow import UnitOfWork

TO_POST: Final = ("acceptable", "unapplied")
"""The outcomes of rows that are yet to be posted."""
WAITING: Final = "waiting"
"""The outcome of a row that is yet to be previewed."""
_CHUNK: Final = 5_000


async def add_batch(uow: UnitOfWork, batch: dict[str, Any]) -> bool:
    """Insert a batch unless one that is not cancelled has its file; one that is being inserted is waited for."""
    statement = (
        postgresql.insert(payment_batches)
        .values(tenant_id=uow.tenant_id, **batch)
        .on_conflict_do_nothing(
            index_elements=["tenant_id", "file_hash"],
            index_where=text("status <> 'cancelled'"),  # no parameter: a plan made once and for all could not find the index
        )
        .returning(payment_batches.c.id)
    )
    return (await uow.execute(statement)).first() is not None


async def batch_of_file(uow: UnitOfWork, file_hash: bytes) -> UUID | None:
    """The batch of a file that is not cancelled, or None."""
    table = payment_batches
    found = select(table.c.id).where(table.c.file_hash == file_hash, table.c.status != "cancelled")
    row = await uow.one_or_none(found)
    return None if row is None else row["id"]


async def batch_row(uow: UnitOfWork, batch_id: UUID, *, lock: bool) -> RowMapping:
    """A batch; `lock` takes it FOR UPDATE. Raises NotFound."""
    statement = select(payment_batches).where(payment_batches.c.id == batch_id)
    return await uow.one(statement.with_for_update() if lock else statement, "payment batch")


async def set_batch(uow: UnitOfWork, batch_id: UUID, **values: Any) -> None:
    """Change columns of a batch."""
    await uow.execute(update(payment_batches).where(payment_batches.c.id == batch_id).values(**values))


async def add_rows(uow: UnitOfWork, rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows of a file, all of the same columns."""
    columns = ["tenant_id", *rows[0]]
    await insert_many(uow, payment_batch_rows, columns, ((uow.tenant_id, *row.values()) for row in rows))


async def rows_to_preview(uow: UnitOfWork, batch_id: UUID, limit: int) -> Sequence[RowMapping]:
    """Rows of a batch that are yet to be previewed: `limit` of them, and all others of the loan of the last one."""
    table = payment_batch_rows
    waiting = text("outcome = 'waiting'")  # no parameter, as in add_batch
    wanted = select(table).where(table.c.batch_id == batch_id, waiting)
    return await uow.all(wanted.order_by(table.c.loan_number).fetch(limit, with_ties=True))


def save_rows(uow: UnitOfWork, rows: list[dict[str, Any]]) -> None:
    """Write what rows that were read have become, in one statement. They refer to their loans in the order of the ids,
    as others lock them, so that two transactions never wait for each other."""
    ordered = sorted(rows, key=lambda row: str(row["loan_id"] or ""))
    uow.later(Write(payment_batch_rows, ordered, replace=True))


async def rows_to_post(uow: UnitOfWork, batch_id: UUID, limit: int) -> Sequence[RowMapping]:
    """The next rows of a batch that are yet to be posted, in the order of the file."""
    table = payment_batch_rows
    wanted = select(table).where(table.c.batch_id == batch_id, table.c.outcome.in_(TO_POST))
    return await uow.all(wanted.order_by(table.c.line).limit(limit))


async def set_outcomes(uow: UnitOfWork, outcomes: Sequence[dict[str, Any]]) -> None:
    """What became of some rows: `key` (the row), `outcome`, `code`, `reason`, `payment_id`."""
    table = payment_batch_rows
    values = {name: bindparam(f"b_{name}", type_=table.c[name].type) for name in ("outcome", "code", "reason", "payment_id")}
    given = [{name if name == "key" else f"b_{name}": value for name, value in item.items()} for item in outcomes]
    await uow.execute(update(table).where(table.c.id == bindparam("key")).values(**values), given)


async def counts(uow: UnitOfWork, batch_id: UUID) -> dict[str, int]:
    """How many rows of a batch have each outcome."""
    table = payment_batch_rows
    statement = select(table.c.outcome, func.count().label("rows")).where(table.c.batch_id == batch_id)
    return {row["outcome"]: row["rows"] for row in await uow.all(statement.group_by(table.c.outcome))}


async def total_to_post(uow: UnitOfWork, batch_id: UUID) -> int:
    """What the rows of a batch that are yet to be posted add up to."""
    table = payment_batch_rows
    total = func.coalesce(func.sum(table.c.amount), 0, type_=table.c.amount.type)
    found = await uow.execute(select(total).where(table.c.batch_id == batch_id, table.c.outcome.in_(TO_POST)))
    result: int = found.scalar_one()
    return result


async def loan_ids(uow: UnitOfWork, numbers: Collection[str]) -> dict[str, UUID]:
    """The loans that have these numbers."""
    found = {}
    remaining = iter(numbers)
    while chunk := list(islice(remaining, _CHUNK)):
        for row in await uow.all(select(loans.c.loan_number, loans.c.id).where(loans.c.loan_number.in_(chunk))):
            found[row["loan_number"]] = row["id"]
    return found
