"""The step of WebhookWorkflow."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.contracts import DeliveryRef
from activities.step import step
from domain.webhooks import Progress
from infra.crypto import Vault
from infra.webhook_sender import WebhookSender
from services import webhook_delivery


class WebhookActivities:
    """`engine` is the application role's."""

    def __init__(self, engine: AsyncEngine, vault: Vault, sender: WebhookSender) -> None:
        self._engine = engine
        self._vault = vault
        self._sender = sender

    @activity.defn
    async def deliver_webhook(self, request: DeliveryRef) -> Progress:
        """Sent between two transactions: whoever dies before the second has sent, and will send again."""
        async with step(self._engine, request.tenant_id) as uow:
            message = await webhook_delivery.prepare(uow, self._vault, request.delivery_id)
        if isinstance(message, Progress):
            return message
        answer = await self._sender.post(message.url, message.body, message.headers)
        async with step(self._engine, request.tenant_id) as uow:
            return await webhook_delivery.conclude(uow, request.delivery_id, message.sent_at, answer)
