"""What a lender does in tests of the rail: enrol, let drafts be prepared, run its cutoff, look at its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from activities.contracts import CutoffRef
from activities.rails import RailActivities
from domain.rails import CutoffProgress, RailKind, RailSettings
from domain.terms import LoanTerms
from infra.db.models.rails import rail_files
from infra.db.models.servicing import loans
from infra.settings import Settings
from infra.storage import ObjectStore
from services import autopay, drafts, instruments, rail_settings
from services import rail_files as files
from tests.domain.ach_files import ORIGINATOR
from tests.domain.loans import EXAMPLE
from tests.services import lending, sending
from tests.workflows.platform import ACCOUNT, VAULT, Borrowed, Rows

OTHER = "000987654321"
"""Another account number than the one of every test."""


async def by_nacha(rows: Rows) -> None:
    """Have a lender's drafts go out as files."""
    async with rows.uow() as uow:
        await rail_settings.change(uow, RailSettings(RailKind.NACHA, originator=ORIGINATOR), None)
        await uow.commit()


@dataclass(frozen=True, slots=True)
class Lender:
    rows: Rows
    settings: Settings

    @property
    def activities(self) -> RailActivities:
        return RailActivities(self.rows.engine, self.settings)

    async def borrowed(self, account: str = ACCOUNT["account_number"], terms: LoanTerms = EXAMPLE) -> Borrowed:
        """An active loan, drafted from an account."""
        loan_id = await lending.active_loan(lambda _: self.rows.uow(), self.rows.tenant, terms)
        async with self.rows.uow() as uow:
            borrower = (await uow.one(select(loans.c.borrower_id).where(loans.c.id == loan_id), "loan"))["borrower_id"]
            data = {**ACCOUNT, "account_number": account}
            instrument_id = await instruments.add(uow, VAULT, borrower, data)
            await uow.commit()
        return Borrowed(loan_id, instrument_id)

    async def enrol(self, loan: Borrowed, **terms: Any) -> UUID:
        async with self.rows.uow() as uow:
            enrolment_id = await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id, **terms))
            await uow.commit()
        return enrolment_id

    async def prepare(self, enrolment_id: UUID) -> UUID:
        """Prepare the draft of the period that is due; returns it."""
        due: date = (await self.rows.enrolment(enrolment_id))["next_process_date"]
        async with self.rows.uow() as uow:
            prepared = await drafts.prepare_draft(uow, enrolment_id, due)
            await uow.commit()
        assert prepared.id is not None
        return prepared.id

    async def enrolled(self, account: str = ACCOUNT["account_number"]) -> tuple[Borrowed, UUID, UUID]:
        """A loan, its enrolment, and the draft that is prepared today."""
        loan = await self.borrowed(account)
        enrolment_id = await self.enrol(loan)
        return loan, enrolment_id, await self.prepare(enrolment_id)

    async def collected(self) -> UUID:
        """Today's cutoff, with what is prepared taken."""
        cutoff_id = await sending.due(self.rows)
        await sending.collect(self.rows, cutoff_id)
        return cutoff_id

    async def hand_over(self, cutoff_id: UUID) -> None:
        await self.activities.hand_over_cutoff(CutoffRef(self.rows.tenant, cutoff_id))

    async def cutoff(self) -> CutoffProgress:
        """Today's cutoff, from beginning to end."""
        cutoff_id = await sending.due(self.rows)
        progress = await sending.collect(self.rows, cutoff_id)
        await self.hand_over(cutoff_id)
        return progress

    async def files(self) -> Sequence[RowMapping]:
        """The files that were made, in their order."""
        return await self.rows.all(select(rail_files).order_by(rail_files.c.id))

    async def content(self, file: RowMapping) -> bytes:
        """What lies in the store, which is what the rows say."""
        stored = await ObjectStore(self.settings).get(file["storage_key"])
        async with self.rows.uow() as uow:
            _, made_again = await files.content(uow, VAULT, file["id"])
        assert stored == made_again
        return stored

    async def stored(self) -> list[str]:
        """The keys of the lender's files in the store."""
        store = ObjectStore(self.settings)
        listed = store._client.list_objects_v2(Bucket=self.settings.s3_bucket, Prefix=f"rail/{self.rows.tenant}/")
        return [str(found["Key"]) for found in listed.get("Contents", [])]

    async def move_to(self, on: date) -> None:
        """Open and close each date up to `on`."""
        await lending.advance(lambda _: self.rows.uow(), self.rows.tenant, on)

    async def only_draft(self, enrolment_id: UUID) -> RowMapping:
        (draft,) = await self.rows.drafts(enrolment_id)
        return draft
