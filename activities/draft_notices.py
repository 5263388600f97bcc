"""The notices of drafts that take another amount than the one before, sent when a business date is open."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contracts import NoticeRound, NoticesProgress
from activities.step import alive, beating, step
from infra.notifier import Notifier, Undelivered
from services import draft_notices

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
"""Loans that are replayed, and mails that are sent, beside each other: after a change of many loans there are many."""


class DraftNoticeActivities:
    """`engine` is the application role's; `notifier` sends the borrowers' letters."""

    def __init__(self, engine: AsyncEngine, notifier: Notifier) -> None:
        self._engine = engine
        self._notifier = notifier

    @activity.defn
    async def send_draft_notices(self, request: NoticeRound) -> NoticesProgress:
        until = time.monotonic() + request.seconds
        after = request.after
        while True:
            async with beating(), step(self._engine, request.tenant_id) as uow:
                looked = await draft_notices.look(uow, after)
            for start in range(0, len(looked.candidates), AT_ONCE):
                some = looked.candidates[start : start + AT_ONCE]
                sent = await asyncio.gather(*(self._send(request.tenant_id, candidate) for candidate in some))
                if not all(sent):
                    return NoticesProgress(None)
                alive()
                if time.monotonic() >= until:
                    return NoticesProgress(some[-1])
            after = looked.after
            if after is None or time.monotonic() >= until:
                return NoticesProgress(after)

    async def _send(self, tenant_id: UUID, enrolment_id: UUID) -> bool:
        """Send the notice of an enrolment, if there is one. Returns whether another mail may be tried: where the mail
        server does not answer, the business date goes on, and the next one tries again. A loan whose drafts cannot be
        foreseen keeps no notice of others."""
        async with beating():
            try:
                async with step(self._engine, tenant_id) as uow:
                    notice = await draft_notices.due(uow, enrolment_id)
            except ApplicationError as refusal:
                log.error("the drafts of enrolment %s cannot be foreseen: %s", enrolment_id, refusal.type)
                return True
            if notice is None:
                return True
            try:
                await self._notifier.deliver(notice.mail)
            except Undelivered as error:
                log.error("notice of a draft not sent, enrolment %s: %s", enrolment_id, error)
                return not error.away
            async with step(self._engine, tenant_id) as uow:
                await draft_notices.note_sent(uow, notice)
        return True
