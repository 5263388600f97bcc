"""Statements that cost one round trip together: reads compiled once a process, and writes that are sent as one statement.

SQLAlchemy says what is read and written (tables, columns, types); psycopg sends it, several statements at a time. What
SQLAlchemy adds to each statement it runs itself is most of what recording a payment would otherwise cost (ADR 0020).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import LargeBinary, Select, Table
from sqlalchemy.dialects.postgresql import psycopg as dialects
from sqlalchemy.types import TypeEngine

from domain.money import format_amount, format_rate
from infra.db.exchange import Driver, Statement, exchange
from infra.db.types import MinorUnits, Rate

_DIALECT: Final = dialects.PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]

BIND: Final = "SELECT set_config('app.tenant_id', $1, true)"
"""Binds the transaction to a tenant; the binding ends with it."""

Row = Mapping[Any, Any]
"""A row by the names of its columns."""


class Asked(NamedTuple):
    """A query with the values of its parameters."""

    query: Query
    values: dict[str, Any]


class Query:
    """A SELECT that is compiled once. Its parameters are plain values (a list for `= ANY`), and calling it gives them.

    `statement` names them with `bindparam`; literals in it become parameters that have their value already.
    """

    def __init__(self, statement: Select[Any]) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self.sql = compiled.string
        self._given = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        self._parameters = tuple(compiled.positiontup or ())
        columns = list(statement.selected_columns)
        self._names = tuple(str(column.key) for column in columns)
        readers = [(str(column.key), _reader(column.type)) for column in columns]
        self._readers = [(name, read) for name, read in readers if read is not None]

    def __call__(self, **values: Any) -> Asked:
        return Asked(self, self._given | values)

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """The values of its parameters, in their order."""
        return [given[name] for name in self._parameters]

    def rows(self, found: Iterable[tuple[Any, ...]]) -> list[Row]:
        """Rows as the driver has them, as Python has them."""
        names, readers = self._names, self._readers
        result: list[Row] = []
        for each in found:
            row = dict(zip(names, each, strict=True))
            for name, read in readers:
                value = row[name]
                if value is not None:
                    row[name] = read(value)
            result.append(row)
        return result


def _reader(kind: TypeEngine[Any]) -> Callable[[Any], Any] | None:
    return kind.result_processor(_DIALECT, None)


@dataclass(slots=True)
class Write:
    """Rows (of the same columns) to insert into a table. `replace`: rows whose key is there already take the new values.
    `computed`: a column and the SQL that says it where the row (named `said` in it) does not; it sees what was written
    before, not the rows beside it."""

    table: Table
    rows: list[dict[str, Any]]
    replace: bool = False
    computed: tuple[str, str] | None = None

    @property
    def shape(self) -> tuple[object, ...]:
        return (tuple(self.rows[0]), self.replace, self.computed)


@dataclass(slots=True)
class Update:
    """New values of the row of a table with an id."""

    table: Table
    tenant_id: UUID
    id: UUID
    values: dict[str, Any]


@dataclass(slots=True)
class Cut:
    """Delete the rows of a table whose key is `key` but for its last column, which is `key`'s or more."""

    table: Table
    key: dict[str, Any]


Change = Write | Update | Cut


def combined(writes: Sequence[Change]) -> list[tuple[str, list[str]]]:
    """As few statements as write all of it in its order, each with its parameters (JSON).

    The parts of a statement do not see what the others write, and must not write a row twice: plain inserts into one table
    are one part, anything else that comes back to a table begins another statement. Foreign keys are checked at the end of
    a statement.
    """
    result: list[dict[str, Change]] = [{}]
    for write in writes:
        name, parts = write.table.name, result[-1]
        before = parts.get(name)
        if before is None:
            parts[name] = write
        elif isinstance(write, Write) and isinstance(before, Write) and _plain_alike(before, write):
            parts[name] = Write(write.table, [*before.rows, *write.rows])
        else:
            result.append({name: write})
    return [
        (_together(tuple(_sql(part) for part in parts.values())), [_value(part) for part in parts.values()])
        for parts in result
        if parts
    ]


def _plain_alike(one: Write, other: Write) -> bool:
    return one.shape == other.shape == (tuple(one.rows[0]), False, None)


def _sql(part: Change) -> str:
    if isinstance(part, Cut):
        return _cut(part.table)
    if isinstance(part, Update):
        return _update(part.table, tuple(part.values))
    return _insert(part.table, tuple(part.rows[0]), part.replace, part.computed)


def _value(part: Change) -> str:
    if isinstance(part, Cut):
        return _json(part.table, [part.key])[1:-1]
    if isinstance(part, Update):
        return _json(part.table, [{"tenant_id": part.tenant_id, "id": part.id, **part.values}])[1:-1]
    return _json(part.table, part.rows)


@lru_cache(maxsize=1000)
def _insert(table: Table, columns: tuple[str, ...], replace: bool, computed: tuple[str, str] | None) -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    selected = names
    if computed is not None:
        name, otherwise = computed
        selected = names.replace(f'"{name}"', f'coalesce("{name}", {otherwise})')
    source = f"json_populate_recordset(NULL::{table.name}, %s::json) AS said"
    sql = f"INSERT INTO {table.name} ({names}) SELECT {selected} FROM {source}"  # noqa: S608
    if not replace:
        return sql
    key = [column.name for column in table.primary_key.columns]
    changes = ", ".join(f'"{column}" = excluded."{column}"' for column in columns if column not in key)
    return f"{sql} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"


@lru_cache(maxsize=1000)
def _update(table: Table, columns: tuple[str, ...]) -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(f'said."{column}"' for column in columns)
    return (
        f"UPDATE {table.name} AS kept SET ({names}) = ROW ({values}) "  # noqa: S608
        f"FROM json_populate_record(NULL::{table.name}, %s::json) AS said "
        "WHERE kept.tenant_id = said.tenant_id AND kept.id = said.id"
    )


@lru_cache(maxsize=1000)
def _cut(table: Table) -> str:
    *same, last = [column.name for column in table.primary_key.columns]
    where = " AND ".join([*(f"kept.{name} = said.{name}" for name in same), f"kept.{last} >= said.{last}"])
    return f"DELETE FROM {table.name} AS kept USING json_populate_record(NULL::{table.name}, %s::json) AS said WHERE {where}"  # noqa: S608


@lru_cache(maxsize=1000)
def _together(parts: tuple[str, ...]) -> str:
    """One statement, whose names are all those of our own tables and columns."""
    *first, last = [part.replace("%s", f"${number}") for number, part in enumerate(parts, 1)]
    with_ = ", ".join(f"w{number} AS ({part})" for number, part in enumerate(first))
    return f"WITH {with_} {last}" if first else last


def _json(table: Table, rows: Sequence[dict[str, Any]]) -> str:
    writers = [(name, write) for name, write in _writers(table) if name in rows[0]]
    said = rows if not writers else [dict(row) for row in rows]
    for row in said if writers else ():
        for name, write in writers:
            value = row[name]
            if value is not None:
                row[name] = write(value)
    return to_json(said).decode()


@lru_cache(maxsize=200)
def _writers(table: Table) -> list[tuple[str, Callable[[Any], Any]]]:
    """The columns whose values JSON has no form for, or another one than PostgreSQL reads."""
    found = [(column.name, _WRITERS.get(type(column.type))) for column in table.columns]
    return [(name, write) for name, write in found if write is not None]


_WRITERS: Final[dict[type, Callable[[Any], Any]]] = {
    MinorUnits: format_amount,
    Rate: format_rate,
    LargeBinary: lambda value: "\\x" + value.hex(),
}


async def run(
    driver: Driver, writes: Sequence[Statement], asked: Sequence[Asked] = (), *, commit: bool = False
) -> list[list[Row]]:
    """Send statements whose answer does not matter, then queries, then COMMIT, in one round trip; returns what the
    queries found. Each sees what those before it did, and what others had committed when its turn came."""
    queries = [(each.query.sql, each.query.values(each.values)) for each in asked]
    found = await exchange(driver, [*writes, *queries], commit=commit)
    return [each.query.rows(rows) for each, rows in zip(asked, found[len(writes) :], strict=True)]
