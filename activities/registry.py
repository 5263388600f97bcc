"""Every activity a worker runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.autopay import AutopayActivities
from activities.corrections import CorrectionActivities
from activities.dates import DateActivities
from activities.draft_notices import DraftNoticeActivities
from activities.payment_batches import PaymentBatchActivities
from activities.payouts import PayoutActivities
from activities.rails import RailActivities
from activities.reversals import ReversalActivities
from activities.webhooks import WebhookActivities
from infra.crypto import Vault
from infra.notifier import Notifier
from infra.settings import Settings
from infra.webhook_sender import WebhookSender


def activities(settings: Settings, engine: AsyncEngine, client: Client, notifier: Notifier) -> Sequence[Callable[..., Any]]:
    """The implementations of the stubs in activities/contracts.py but what `webhook_activities` has. `engine` is the
    application role's."""
    autopay = AutopayActivities(engine)
    payouts = PayoutActivities(engine, notifier)
    dates = DateActivities(engine, client, Vault.of(settings))
    reversals = ReversalActivities(engine, notifier)
    batches = PaymentBatchActivities(engine)
    rails = RailActivities(engine, settings)
    return [
        autopay.plan_autopay,
        autopay.prepare_draft,
        payouts.plan_payout,
        payouts.hand_over_payout,
        payouts.send_payout,
        payouts.tell_of_payout,
        dates.read_calendar,
        dates.close_pages,
        dates.open_date,
        dates.settle_day,
        dates.finish_advance,
        DraftNoticeActivities(engine, notifier).send_draft_notices,
        reversals.look_at_reversal,
        reversals.replan_reversed_autopay,
        reversals.restate_days,
        reversals.tell_of_reversal,
        reversals.give_up_telling,
        CorrectionActivities(engine).restate_corrected_days,
        batches.preview_batch,
        batches.post_batch,
        rails.plan_cutoff,
        rails.collect_drafts,
        rails.hand_over_cutoff,
        rails.take_answers,
    ]


def webhook_activities(settings: Settings, engine: AsyncEngine) -> Sequence[Callable[..., Any]]:
    """What waits for other people's servers, and so has a queue of its own (activities.contracts.webhook_queue)."""
    return [WebhookActivities(engine, Vault.of(settings), WebhookSender(settings)).deliver_webhook]
