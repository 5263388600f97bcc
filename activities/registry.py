"""Every activity a worker runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.autopay import AutopayActivities
from activities.dates import DateActivities
from activities.webhooks import WebhookActivities
from infra.crypto import Vault
from infra.settings import Settings
from infra.webhook_sender import WebhookSender


def activities(settings: Settings, engine: AsyncEngine, client: Client) -> Sequence[Callable[..., Any]]:
    """The implementations of the stubs in activities/contracts.py. `engine` is the application role's."""
    autopay = AutopayActivities(engine)
    dates = DateActivities(engine, client)
    webhooks = WebhookActivities(engine, Vault.of(settings), WebhookSender(settings))
    return [
        autopay.plan_autopay,
        autopay.prepare_draft,
        autopay.send_draft,
        dates.read_calendar,
        dates.close_pages,
        dates.open_date,
        dates.settle_day,
        dates.finish_advance,
        webhooks.deliver_webhook,
    ]
