"""A connection of the pool, as the unit of work has it: taken, lost, given back."""

from __future__ import annotations

import asyncio

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from infra.db.exchange import Driver


async def take(engine: AsyncEngine) -> tuple[AsyncConnection, Driver]:
    """A connection of the pool, and psycopg's own beneath it."""
    connection = await engine.connect()
    try:
        driver = _sync(connection).connection.driver_connection
        assert isinstance(driver, psycopg.AsyncConnection)
    except BaseException:
        await asyncio.shield(asyncio.ensure_future(connection.close()))
        raise
    return connection, driver


async def give_back(connection: AsyncConnection, driver: Driver) -> None:
    """Give a connection back to its pool, what was not committed rolled back, even while the task is being cancelled:
    otherwise each cancellation in the wrong moment would cost the pool one connection for good.

    One that was interrupted in the middle of a pipeline is closed instead, because nobody knows what it would answer.
    """
    if _between_transactions(connection, driver):
        _sync(connection).close()  # waits for nothing
    else:
        await asyncio.shield(asyncio.ensure_future(_close(connection, driver)))


def _between_transactions(connection: AsyncConnection, driver: Driver) -> bool:
    state = driver.pgconn
    idle = state.transaction_status == TransactionStatus.IDLE and state.pipeline_status == PipelineStatus.OFF
    return idle and not connection.in_transaction()


async def _close(connection: AsyncConnection, driver: Driver) -> None:
    busy = driver.pgconn.transaction_status == TransactionStatus.ACTIVE
    if busy or driver.pgconn.pipeline_status != PipelineStatus.OFF:
        await connection.invalidate()
    await connection.close()


def _sync(connection: AsyncConnection) -> Connection:
    found = connection.sync_connection
    assert found is not None
    return found


async def as_sqlalchemy(connection: AsyncConnection, error: psycopg.Error) -> DBAPIError:
    """An error of the driver as SQLAlchemy's, so that whoever answers for them knows one kind. A connection that is lost
    goes out of the pool."""
    driver = (await connection.get_raw_connection()).driver_connection
    if driver is not None and driver.closed:
        await connection.invalidate(error)
    wrapped = DBAPIError.instance("", None, error, psycopg.Error, hide_parameters=True)
    assert isinstance(wrapped, DBAPIError)
    return wrapped
