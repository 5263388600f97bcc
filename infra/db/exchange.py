"""Several statements in one round trip over a psycopg connection, transaction and all.

psycopg's own pipeline waits for BEGIN and for COMMIT, makes a cursor a statement and reads each query's text again: for the
statements of a payment that is seven waits instead of three, and most of what they cost the process (ADR 0020). This sends
what the connection's libpq offers: a statement is prepared the first time a connection sees it, and told from others by its
text. Whatever else uses the connection goes on to use psycopg, which knows from libpq whether a transaction is open.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Sequence
from functools import lru_cache, partial
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import abc
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import InFailedSqlTransaction, error_from_result
from psycopg.generators import fetch_many, pipeline_communicate, send
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

Statement = tuple[str, Sequence[Any]]
"""SQL with parameters $1, $2, ..., and their values."""
Driver = psycopg.AsyncConnection[Any]
Found = list[tuple[Any, ...]]

_KEPT: Final = 200
"""Statements a connection has prepared at most; the one that was not used for longest goes."""


class _Known:
    """What is known of a connection: the statements it has prepared, those to close because they were forgotten or are too
    many, and how values are sent and read over it."""

    def __init__(self, driver: Driver) -> None:
        self.prepared: dict[bytes, None] = {}
        self.to_close: dict[bytes, None] = {}
        self.values: abc.Transformer = Transformer(driver)

    def forget(self) -> None:
        """Psycopg has the server forget all statements, if it has prepared any itself."""
        self.to_close |= self.prepared
        self.prepared.clear()


def _known_of(driver: Driver) -> _Known:
    """Kept with the connection, and gone with it."""
    kept = vars(driver)
    if "known_of_exchange" not in kept:
        kept["known_of_exchange"] = _Known(driver)
    known: _Known = kept["known_of_exchange"]
    return known


async def exchange(driver: Driver, statements: Sequence[Statement], *, commit: bool = False) -> list[Found]:
    """Send BEGIN, where no transaction is open, then the statements, then COMMIT if so asked; returns the rows of each.

    Each statement sees what those before it did, and what others had committed when its turn came. Raises the psycopg.Error
    of the first that fails: those after it were not carried out.
    """
    async with driver.lock:
        return await driver.wait(_exchange(driver, statements, commit))


def forget_prepared(driver: Driver) -> None:
    """After a rollback, after which psycopg has the server forget what is prepared: it is prepared anew."""
    _known_of(driver).forget()


def _exchange(driver: Driver, statements: Sequence[Statement], commit: bool) -> Generator[Any, Any, list[Found]]:
    known, connection = _known_of(driver), driver.pgconn
    values = known.values
    sent = [values.dump_sequence([_plain(value) for value in given], _text(len(given))) for _, given in statements]
    commands: deque[Callable[[], None]] = deque()
    for name in known.to_close:
        commands.append(partial(connection.send_close_prepared, name))  # to close what is not there is no error
    known.to_close.clear()
    if connection.transaction_status == TransactionStatus.IDLE:
        commands.append(partial(connection.send_query_params, b"BEGIN", None))
    asked = []
    for (sql, _), given in zip(statements, sent, strict=True):
        name = _name(sql)
        _prepare(connection, known, name, sql, commands)
        asked.append(len(commands))
        commands.append(partial(connection.send_query_prepared, name, given))
    if commit:
        commands.append(partial(connection.send_query_params, b"COMMIT", None))
    commands.append(connection.pipeline_sync)
    count = len(commands)
    connection.enter_pipeline_mode()
    answers = list((yield from pipeline_communicate(connection, commands)))
    yield from send(connection)  # what the socket did not take at once
    while len(answers) < count:
        answers.append((yield from fetch_many(connection)))
    connection.exit_pipeline_mode()
    _check(known, answers, commit)
    return [_rows(values, answers[at][0]) for at in asked]


def _prepare(connection: PGconn, known: _Known, name: bytes, sql: str, commands: deque[Callable[[], None]]) -> None:
    """Have a statement prepared that is not yet."""
    prepared = known.prepared
    if name in prepared:
        prepared[name] = prepared.pop(name)  # used last
        return
    if name in known.to_close:
        del known.to_close[name]
        commands.append(partial(connection.send_close_prepared, name))
    commands.append(partial(connection.send_prepare, name, sql.encode()))
    prepared[name] = None
    while len(prepared) > _KEPT:
        oldest = next(iter(prepared))
        del prepared[oldest]
        known.to_close[oldest] = None


@lru_cache(maxsize=5000)
def _name(sql: str) -> bytes:
    return b"perdiem_" + hashlib.sha256(sql.encode()).hexdigest()[:32].encode()


def _plain(value: Any) -> Any:
    """Ids are what is asked for most, and many at once: as psycopg would write them, in a fraction of the time."""
    if isinstance(value, list) and all(isinstance(item, UUID) for item in value):
        return "{" + ",".join(map(str, value)) + "}"
    return value


@lru_cache(maxsize=100)
def _text(count: int) -> list[PyFormat]:
    """A statement is prepared once for whatever values: as text, whose type the statement says."""
    return [PyFormat.TEXT] * count


def _check(known: _Known, answers: list[list[PGresult]], commit: bool) -> None:
    for answer in answers:
        for result in answer:
            if result.status == ExecStatus.FATAL_ERROR:
                known.forget()  # what came after it was not even prepared
                raise error_from_result(result)
    if commit and answers[-2][0].command_status != b"COMMIT":
        raise InFailedSqlTransaction("an earlier statement of the transaction had failed: it was rolled back")


def _rows(values: abc.Transformer, result: PGresult) -> Found:
    if not result.ntuples:
        return []
    values.set_pgresult(result)
    return values.load_rows(0, result.ntuples, tuple)
