"""Close of business: a date opens, every active loan is brought through it, what was to settle settles, it closes.

Each function is one transaction and may run twice. Nothing is locked between them, so payments are accepted meanwhile;
a payment brings its own loan through the business date, and the close skips loans which are there already.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.engine import RowMapping

from domain.calendars import add_banking_days
from domain.cases import LONG_IN_TRANSIT, CaseKind
from domain.errors import NotFound, WrongState
from domain.money import format_amount
from infra.calendar import bank_holidays
from infra.db.repositories import business_days as days
from infra.db.repositories import rail_entries
from infra.db.repositories.loans import page_to_close
from infra.db.uow import UnitOfWork
from services import cases, ledger
from services.payments import settle
from services.replaying import lock_loans, store, with_events
from services.status_archive import archive

PAGE = 500
"""Loans (or drafts) a page: about a second of work, during which a payment on one of them waits."""


@dataclass(frozen=True, slots=True)
class ClosedDay:
    """A business date that is closed. Interest in minor units, net, as posted with this date; `reconciled` says whether
    the books and the loans agreed then."""

    business_date: date
    loans_closed: int
    interest_accrued: int
    late_fees_assessed: int
    drafts_settled: int
    reconciled: bool
    closed_at: datetime


async def open_date(uow: UnitOfWork, on: date) -> None:
    """Move the tenant's business date to `on`, the day after it. Again does nothing.

    Raises WrongState for any other date: dates are opened one by one and never taken back.
    """
    current = await days.lock_business_date(uow)
    if current == on:
        return
    following = current + timedelta(days=1)
    if on != following:
        raise WrongState(
            f"The business date is {current}: the next to open is {following}, not {on}.",
            state=current.isoformat(),
            allowed=[following.isoformat()],
        )
    await days.move_business_date(uow, on)
    await uow.audit(
        "business_date.opened",
        "tenant",
        uow.tenant_id,
        before={"business_date": current.isoformat()},
        after={"business_date": on.isoformat()},
    )


async def opened_day(uow: UnitOfWork, on: date, *, lock: bool = False) -> RowMapping:
    """The row of a business date: how far its close has come (`cursor`, `closed_at`). Raises NotFound when it was never
    opened."""
    day = await days.business_day(uow, on, lock=lock)
    if day is None:
        raise NotFound(f"business date {on}")
    return day


async def close_page(uow: UnitOfWork, on: date, cursor: UUID | None, limit: int = PAGE) -> UUID | None:
    """Bring the next `limit` loans after `cursor` through the close of `on`: state, schedule, late fees, accruals, and the
    day's row of the status archive.

    Loans that are there already get their row, so the same page again does nothing (or goes on). The checkpoint is written
    in the same transaction. Returns the next cursor, None when there are no more loans.
    Raises NotFound when `on` was never opened.
    """
    await opened_day(uow, on)
    rows = await page_to_close(uow, on, cursor, limit)
    if not rows:
        return None
    loans = await with_events(uow, rows)
    behind = [loan for loan in loans if loan.processed_through is None or loan.processed_through < on]
    replays = await store(uow, behind, on)
    await archive(uow, loans, replays, on)
    await days.add_progress(uow, on, loans_closed=len(behind), cursor=loans[-1].id)
    return loans[-1].id if len(loans) == limit else None


async def settle_due(uow: UnitOfWork, on: date, limit: int = PAGE) -> int:
    """Settle the next `limit` of what the bank settles by `on`: the payments and their drafts, each once.

    Returns how many were; 0 means that nothing is left. Raises NotFound when `on` was never opened.
    """
    await opened_day(uow, on)
    while due := await rail_entries.due_to_settle(uow, on, limit):
        await lock_loans(uow, [row["loan_id"] for row in due])
        still = await rail_entries.in_transit(uow, [row["id"] for row in due])
        if still:
            await settle(uow, [row["payment_id"] for row in still])
            await rail_entries.mark_settled(uow, still, on)
            paid = [row["payment_id"] for row in still]
            await cases.close_for(uow, CaseKind.DRAFT_IN_TRANSIT, paid, "the money has settled")
            await days.add_progress(uow, on, drafts_settled=len(still))
            return len(still)  # less than were due: others have settled or come back before the locks were ours
    return 0


async def look_into_clearing(uow: UnitOfWork, on: date, limit: int = PAGE) -> None:
    """Open a case for each draft that has been on its way for longer than expected by the close of `on`, once."""
    for entry in await rail_entries.long_in_transit(uow, on - timedelta(days=LONG_IN_TRANSIT), limit):
        if add_banking_days(entry["handed_over_on"], LONG_IN_TRANSIT, bank_holidays()) < on:
            detail = f"A draft of {format_amount(entry['amount'])}, handed over on {entry['handed_over_on']}, is in transit."
            await cases.open_once(uow, CaseKind.DRAFT_IN_TRANSIT, entry["loan_id"], entry["payment_id"], detail)


async def finish_close(uow: UnitOfWork, on: date) -> ClosedDay:
    """Reconcile the books with the loans, record the result, and close the date. Again returns what was recorded.

    A difference does not keep the date open: it is recorded, for people to see. Raises WrongState while an active loan
    is not through the date.
    """
    day = await opened_day(uow, on, lock=True)
    if day["closed_at"] is None:
        if await days.is_behind(uow, on):
            raise WrongState(f"Loans are still to be brought through {on}.", state="open", allowed=["close_page"])
        await look_into_clearing(uow, on)
        controls = await ledger.reconcile(uow)
        interest, fees = await days.posted_on(uow, on)
        await days.mark_closed(
            uow,
            on,
            uow.recorded_at,
            interest_accrued=interest,
            late_fees_assessed=fees,
            reconciliation=[_control(control) for control in controls],
        )
        after = {"business_date": on.isoformat(), "reconciled": ledger.reconciled(controls)}
        await uow.audit("business_date.closed", "tenant", uow.tenant_id, after=after)
        day = await opened_day(uow, on)
    return ClosedDay(
        business_date=on,
        loans_closed=day["loans_closed"],
        interest_accrued=day["interest_accrued"],
        late_fees_assessed=day["late_fees_assessed"],
        drafts_settled=day["drafts_settled"],
        reconciled=not any(control["differing"] for control in day["reconciliation"]),
        closed_at=day["closed_at"],
    )


def _control(control: ledger.Control) -> dict[str, Any]:
    return {
        "account": int(control.account),
        "ledger": format_amount(control.ledger),
        "loans": format_amount(control.loans),
        "differing": control.differing,
        "loan_ids": [str(loan_id) for loan_id in control.loan_ids],
    }
