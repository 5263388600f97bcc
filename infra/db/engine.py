"""Engines: one per process and database role."""

from __future__ import annotations

from functools import lru_cache
from select import POLLIN, poll
from time import monotonic
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import TransactionStatus
from pydantic_core import from_json
from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from infra.db.exchange import forget_prepared
from infra.settings import Settings

_ASK_AFTER_SECONDS: Final = 30.0


def app_engine(settings: Settings, *, pool_size: int | None = None) -> AsyncEngine:
    """The engine of the application role, for which row-level security holds."""
    return _engine(settings.database_url.get_secret_value(), pool_size or settings.database_pool_size)


def dispatch_engine(settings: Settings) -> AsyncEngine:
    """The engine of the dispatch role, which sees workflow intents of every tenant and nothing else."""
    return _engine(settings.database_dispatch_url.get_secret_value(), 2)


def owner_engine(settings: Settings) -> AsyncEngine:
    """The engine of the schema's owner, for an operator at the command line."""
    return _engine(settings.database_owner_url.get_secret_value(), 1)


def _engine(url: str, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        pool_reset_on_return=None,
        hide_parameters=True,
        json_deserializer=from_json,
    )
    dialect = engine.sync_engine.dialect

    def given_back(connection: Any, record: Any) -> None:
        record.info["since"] = monotonic()

    def taken(connection: Any, record: Any, proxy: Any) -> None:
        """A connection that is lost is exchanged, with all others of before. One that was just used is not asked, which
        would cost each transaction a round trip: a server that goes closes it, and that shows here."""
        waited = monotonic() - record.info.get("since", monotonic())
        try:
            if waited > _ASK_AFTER_SECONDS or _has_something_to_say(connection.driver_connection):
                dialect.do_ping(connection)
        except (psycopg.Error, OSError) as lost:
            raise InvalidatePoolError from lost

    def connected(connection: Any, record: Any) -> None:
        connection.driver_connection.adapters.register_loader("uuid", _IdLoader)

    def resets(connection: Any, record: Any, state: Any) -> None:
        """What was not committed is rolled back; where nothing is open, nothing is asked."""
        if state.terminate_only or connection.driver_connection.pgconn.transaction_status == TransactionStatus.IDLE:
            return
        forget_prepared(connection.driver_connection)
        connection.rollback()

    def rolled_back(connection: Any, *_: Any) -> None:
        if not connection.invalidated:
            forget_prepared(connection.connection.driver_connection)

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "reset", resets)
    for name in ("rollback", "rollback_savepoint"):
        event.listen(engine.sync_engine, name, rolled_back)
    event.listen(engine.sync_engine, "checkin", given_back)
    event.listen(engine.sync_engine, "checkout", taken)
    return engine


class _IdLoader(Loader):
    """Ids come again and again (a tenant's, a loan's in each of its rows), and to read one costs more than to find it."""

    def load(self, data: Buffer) -> UUID:
        return _id_of(bytes(data))


@lru_cache(maxsize=10_000)
def _id_of(text: bytes) -> UUID:
    return UUID(text.decode())


def _has_something_to_say(driver: psycopg.AsyncConnection[Any]) -> bool:
    """Whether a connection that nobody has asked anything has something to read: most likely its end."""
    waiting = poll()
    waiting.register(driver.fileno(), POLLIN)
    return bool(waiting.poll(0))
