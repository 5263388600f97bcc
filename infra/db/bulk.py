"""Many rows at once: COPY into a temporary table, then one INSERT.

COPY straight into a table with row-level security is refused, so rows are staged; and what is there already (by any
unique key) is left alone, so that a load can be repeated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Table, text
from sqlalchemy.dialects.postgresql import JSONB, dialect
from sqlalchemy.types import TypeEngine

from domain.money import format_rate
from infra.db.pipeline import Write
from infra.db.types import MinorUnits, Rate
from infra.db.uow import UnitOfWork

_WORTH_STAGING: Final = 200


async def stage(uow: UnitOfWork, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """COPY rows (values in the order of `columns`, as Python has them) into a temporary table named `stage_<table>`,
    which the end of the transaction drops; a stage already there in this transaction is emptied. Returns its name.

    Amounts are staged as they are, in minor units; `_selected` makes them decimals.
    """
    name = f"stage_{table.name}"
    definition = ", ".join(f"{column} {_staged_type(table.c[column].type)}" for column in columns)
    await uow.execute(text(f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({definition}) ON COMMIT DROP"))
    await uow.execute(text(f"TRUNCATE {name}"))
    converters = [_CONVERTERS.get(type(table.c[column].type)) for column in columns]
    changed = [(at, convert) for at, convert in enumerate(converters) if convert is not None]
    driver = await uow.driver()
    async with driver.cursor() as cursor, cursor.copy(f"COPY {name} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            if changed:
                row = list(row)
                for at, convert in changed:
                    if row[at] is not None:
                        row[at] = convert(row[at])
            await copy.write_row(row)
    return name


async def insert_new(
    uow: UnitOfWork, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, returning: str = "id"
) -> set[UUID]:
    """Insert the rows no unique key of `table` knows yet; returns the `returning` column (a UUID) of those inserted."""
    copied = await _insert_staged(uow, table, columns, rows)
    result = await uow.execute(text(f"{copied} ON CONFLICT DO NOTHING RETURNING {returning}"))
    return set(result.scalars())


async def insert_many(uow: UnitOfWork, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows that are known to be new."""
    await uow.execute(text(await _insert_staged(uow, table, columns, rows)))


async def plan_anew(uow: UnitOfWork) -> None:
    """Have the plans of this connection made anew, those of foreign keys too. A plan made while a table held next to nothing
    may look a row up among all those of its tenant, and is otherwise kept until the table's statistics are renewed."""
    await uow.execute(text("DISCARD PLANS"))


async def insert_rows(uow: UnitOfWork, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows that are known to be new, all of the same columns: few with what else is to be written, many as
    `insert_many` does."""
    if len(rows) < _WORTH_STAGING:
        uow.later(Write(table, rows))
        return
    await insert_many(uow, table, list(rows[0]), (list(row.values()) for row in rows))


async def _insert_staged(uow: UnitOfWork, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Stage the rows; returns the statement that inserts them, whose names are all those of our own tables."""
    name = await stage(uow, table, columns, rows)
    selected = ", ".join(_selected(table, column) for column in columns)
    return f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {selected} FROM {name}"  # noqa: S608


def _selected(table: Table, column: str) -> str:
    return f"{column} / 100.0" if isinstance(table.c[column].type, MinorUnits) else column


def _staged_type(kind: TypeEngine[Any]) -> str:
    return "bigint" if isinstance(kind, MinorUnits) else kind.compile(_DIALECT)


_DIALECT = dialect()  # type: ignore[no-untyped-call]
_CONVERTERS: dict[type, Callable[[Any], Any]] = {Rate: format_rate, JSONB: json.dumps}
