"""The worker: runs workflows and activities, and delivers the intents that are still pending. Wiring only."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.contracts import webhook_queue
from activities.registry import activities, webhook_activities
from infra.db.engine import app_engine, dispatch_engine
from infra.logging import configure_logging
from infra.notifier import Notifier
from infra.settings import Settings, SettingsError, load_settings
from infra.temporal import Temporal
from services.intents import Delivery
from workflows.autopay import AutopayWorkflow
from workflows.business_day_tick import BusinessDayTickWorkflow
from workflows.close_of_business import CloseOfBusinessWorkflow
from workflows.date_advance import DateAdvanceWorkflow
from workflows.payment_batch import PaymentBatchWorkflow
from workflows.payment_batch_preview import PaymentBatchPreviewWorkflow
from workflows.payment_reversal import PaymentReversalWorkflow
from workflows.payout import PayoutWorkflow
from workflows.rail_cutoff import RailCutoffWorkflow
from workflows.rail_returns import RailReturnsWorkflow
from workflows.restatement import RestatementWorkflow
from workflows.webhook import WebhookWorkflow

log = logging.getLogger("worker")

WORKFLOWS: Final = [
    AutopayWorkflow,
    BusinessDayTickWorkflow,
    CloseOfBusinessWorkflow,
    DateAdvanceWorkflow,
    PaymentReversalWorkflow,
    PayoutWorkflow,
    WebhookWorkflow,
    PaymentBatchWorkflow,
    PaymentBatchPreviewWorkflow,
    RailCutoffWorkflow,
    RailReturnsWorkflow,
    RestatementWorkflow,
]
RUNNER: Final = SandboxedWorkflowRunner(
    SandboxRestrictions.default.with_passthrough_modules("activities.contracts", "domain", "pydantic", "workflows.messages")
)
"""Data and pure rules are shared with workflow code, not loaded anew for each workflow; the workflows themselves are."""
GRACE: Final = timedelta(seconds=10)
_CONNECT_PAUSE: Final = 1.0
_WEBHOOKS_AT_ONCE: Final = 50  # while one waits for its answer it holds no connection
_ACTIVITIES_PER_CONNECTION: Final = 4  # most of its time an activity waits for Temporal, not for the database


def activities_at_once(settings: Settings) -> int:
    """How many activities a worker has under way at most."""
    return _ACTIVITIES_PER_CONNECTION * settings.database_pool_size


def make_worker(settings: Settings, client: Client, engine: AsyncEngine) -> Worker:
    """A worker of our task queue; `engine` is the application role's."""
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=WORKFLOWS,
        activities=activities(settings, engine, client, Notifier(settings)),
        workflow_runner=RUNNER,
        max_concurrent_activities=activities_at_once(settings),
        graceful_shutdown_timeout=GRACE,
    )


def make_webhook_worker(settings: Settings, client: Client, engine: AsyncEngine) -> Worker:
    """A worker of the queue on which webhooks are sent, and of nothing else."""
    return Worker(
        client,
        task_queue=webhook_queue(settings.task_queue),
        activities=webhook_activities(settings, engine),
        max_concurrent_activities=_WEBHOOKS_AT_ONCE,
        graceful_shutdown_timeout=GRACE,
    )


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then finish what is under way for up to ten seconds.

    Raises SettingsError when a setting is missing, RuntimeError when the worker itself fails.
    """
    settings.require("database_url", "database_dispatch_url", "temporal_address", "secret_key")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    temporal = Temporal(settings)
    client = await _connected(temporal, settings.temporal_address, stop)
    if client is None:
        return
    engine, dispatch = app_engine(settings), dispatch_engine(settings)
    delivery = Delivery(dispatch, temporal)
    dispatcher = asyncio.create_task(delivery.run_forever())
    stopped = asyncio.create_task(stop.wait())
    workers = [make_worker(settings, client, engine), make_webhook_worker(settings, client, engine)]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    log.info("working", extra={"task_queue": settings.task_queue, "temporal": settings.temporal_address})
    try:
        await asyncio.wait({stopped, *running}, return_when=asyncio.FIRST_COMPLETED)
        dispatcher.cancel()
        await asyncio.gather(*(worker.shutdown() for worker in workers))
        await asyncio.gather(*running)
    finally:
        await engine.dispose()
        await dispatch.dispose()
    log.info("stopped")


async def _connected(temporal: Temporal, address: str, stop: asyncio.Event) -> Client | None:
    """The client, as soon as Temporal answers; None when we are told to stop before."""
    said = False
    while not stop.is_set():
        try:
            return await temporal.client(lazy=False)
        except RuntimeError as error:
            if not said:
                log.warning("waiting for Temporal at %s: %s", address, str(error).splitlines()[0])
                said = True
            await asyncio.sleep(_CONNECT_PAUSE)
    return None


def main() -> int:
    """Run the worker; returns the exit code."""
    try:
        settings = load_settings()
        configure_logging(settings.log_level)
        asyncio.run(run(settings))
    except SettingsError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except Exception:
        log.exception("the worker failed")
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the SDK's threads may die while the interpreter finalizes
