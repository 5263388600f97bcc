"""Waiting for business time, the same in both modes.

A business date opens by a message ("look again"). In sandbox mode that is all: nothing happens by the wall clock. In live
mode a draft also has an instant of its day, for which a durable timer waits.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from temporalio import workflow


def has_come(instant: datetime | None) -> bool:
    """Whether an instant (UTC) of live mode has come; None, as in sandbox mode, always has."""
    return instant is None or workflow.now() >= instant


async def told_or_at(told: Callable[[], bool], instant: datetime | None) -> None:
    """Return when `told()` holds or, where a future instant (UTC) is given, when it has come."""
    timeout = None if instant is None or has_come(instant) else instant - workflow.now()
    try:
        await workflow.wait_condition(told, timeout=timeout)
    except TimeoutError:
        return
