"""The baseline of benchmarks/autopay.py: a workflow that knows nothing of loans, and a worker of it as a process of its own.

It waits for a message, then for as many timers and activities as an autopay was seen to need for a draft; its activities do
nothing. The end of each such round is one byte in a file, so that whoever measures need not ask the server.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from temporalio import activity, workflow

QUEUE: Final = "perdiem-bare"
_MOMENT: Final = timedelta(milliseconds=1)
_LIMIT: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Shape:
    """How many of each a round has, and the file that gets a byte at the end of it."""

    timers: int
    activities: int
    file: str


@dataclass(frozen=True, slots=True)
class Step:
    """What an activity is given: about as much as one of ours."""

    tenant_id: str
    object_id: str


@activity.defn
async def do_nothing(step: Step) -> Step:
    return step


@activity.defn
async def do_nothing_at_last(file: str) -> None:
    ended = os.open(file, os.O_WRONLY | os.O_APPEND)
    os.write(ended, b".")
    os.close(ended)


@workflow.defn
class BareWorkflow:
    def __init__(self) -> None:
        self._told = False

    @workflow.run
    async def run(self, shape: Shape) -> None:
        step = Step(workflow.info().namespace, workflow.info().workflow_id)
        while True:
            await workflow.wait_condition(lambda: self._told)
            self._told = False
            for _ in range(shape.timers):
                await workflow.sleep(_MOMENT)
            for _ in range(shape.activities - 1):
                await workflow.execute_activity(do_nothing, step, start_to_close_timeout=_LIMIT)
            await workflow.execute_activity(do_nothing_at_last, shape.file, start_to_close_timeout=_LIMIT)

    @workflow.signal
    def changed(self) -> None:
        self._told = True


async def work() -> None:
    """Run the worker, with the settings of the real one, until it is killed."""
    from temporalio.worker import Worker

    import worker
    from infra.settings import load_settings
    from infra.temporal import Temporal

    settings = load_settings()
    client = await Temporal(settings).client(lazy=False)
    await Worker(
        client,
        task_queue=QUEUE,
        workflows=[BareWorkflow],
        activities=[do_nothing, do_nothing_at_last],
        workflow_runner=worker.RUNNER,
        max_concurrent_activities=worker.activities_at_once(settings),
    ).run()


if __name__ == "__main__":
    asyncio.run(work())
    sys.stdout.flush()
    os._exit(0)
