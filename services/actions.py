"""What staff record of a loan besides payments and payouts: fees, waivers, charge-offs, modifications. One way for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from domain.actions import check_action
from domain.events import Event, EventBody, UnappliedApplied, event_to_dict
from domain.money import format_amount
from domain.payouts import check_promise
from domain.replay import check_effective_date
from infra.db.repositories import payouts
from infra.db.uow import UnitOfWork
from services.corrections import Corrected, plan_amendments
from services.payments import naming_the_zone
from services.replaying import Amendment, LockedLoan, amend, load_loan, lock_loan, today

Make = Callable[[str], EventBody]
"""Makes the body of an event from a name that is its own within the loan."""


@dataclass(frozen=True, slots=True)
class Acted:
    """An event (its `sequence` is its number in the loan's history), and all that recording it changes."""

    event: Event
    corrected: Corrected


async def act(uow: UnitOfWork, loan_id: UUID, make: Make, effective_date: date | None, reason: str) -> Acted:
    """Record an event of a loan from a day on (default: the business date), and store and post what follows from it.

    Raises NotFound; InvalidInput at /effective_date for a day after the business date or before the loan began, and
    whatever the kind of event refuses (at its own fields); WrongState where the loan's state forbids it, or (naming it)
    when a later event would become impossible; Conflict when unapplied funds are promised to a refund.
    """
    loan = await lock_loan(uow, loan_id)
    acted = await _plan(uow, loan, make, effective_date)
    event, after = acted.event, acted.corrected.correction.after
    await amend(uow, loan, [Amendment(event.body, event.effective_date)], reason)
    await uow.audit(
        f"loan.{event.kind}",
        "loan",
        loan_id,
        before={"principal_balance": format_amount(loan.row["principal_balance"]), "status": loan.row["status"]},
        after={
            "number": event.sequence,
            "effective_date": event.effective_date.isoformat(),
            "data": event_to_dict(event.body),
            "principal_balance": format_amount(after.principal_balance),
            "status": str(after.status),
        },
        reason=reason,
    )
    return acted


async def preview(uow: UnitOfWork, loan_id: UUID, make: Make, effective_date: date | None) -> Acted:
    """What `act` would do. Writes nothing, refuses what it refuses."""
    return await _plan(uow, await load_loan(uow, loan_id), make, effective_date)


async def _plan(uow: UnitOfWork, loan: LockedLoan, make: Make, effective_date: date | None) -> Acted:
    as_of = await today(uow, loan)
    on = effective_date or as_of
    with naming_the_zone(loan, as_of):
        check_effective_date(on, loan.replay(as_of).state.opened_on, as_of)
    number = loan.last_number + 1
    event = Event(number, on, make(str(number)))
    check_action(loan.terms, loan.events, event)
    planned = await plan_amendments(uow, loan, [Amendment(event.body, on)])
    if isinstance(event.body, UnappliedApplied):
        check_promise(planned.corrected.correction.after.unapplied, await payouts.promised(uow, loan_id=loan.id))
    return Acted(event, planned.corrected)
