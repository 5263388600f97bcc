"""What staff may record of a loan besides payments: a schema for each kind of source event.

A schema makes the event's body from the fields a person gives and a name that is the event's own.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from api.schemas.base import Amount, Count, Date, Flag, RateString, Reason, Schema
from api.schemas.corrections import LoanCorrection, correction_of
from api.schemas.loans import Schedule, current_schedule_of
from domain.changes import Deferred, DueDateChanged, Extended, Forborne, RateChanged, ReAged, ReAmortized
from domain.events import (
    Chargeback,
    ChargedFee,
    ChargedOff,
    EventBody,
    FeeCharged,
    NonAccrualSet,
    UnappliedApplied,
    Waived,
    WaiverTarget,
    event_to_dict,
)
from services.actions import Acted

Name = Annotated[str, Field(min_length=1, max_length=60)]


class ActionRequest(Schema):
    """What every action takes."""

    effective_date: Date | None = Field(None, description="the day it counts from; default: the business date")
    reason: Reason = Field(examples=["Agreed with the borrower on the phone"])


class FeeChargedAction(ActionRequest):
    """Charge a fee. `payment_id`: the payment whose return an NSF fee is for, so that it is charged once."""

    kind: Literal["fee_charged"]
    fee_kind: ChargedFee = Field(examples=["other_fee"])
    amount: Amount = Field(gt=0, examples=["25.00"])
    payment_id: UUID | None = None

    def body(self, name: str) -> EventBody:
        return FeeCharged(name if self.payment_id is None else str(self.payment_id), self.fee_kind, self.amount)


class WaivedAction(ActionRequest):
    """Give up a fee (`fee_key`), or interest earned and unpaid. Without an amount all that is unpaid."""

    kind: Literal["waived"]
    target: WaiverTarget = Field(examples=["fee"])
    fee_key: Name | None = Field(None, examples=["late_fee:2020-10-09"])
    amount: Amount | None = Field(None, gt=0)

    def body(self, name: str) -> EventBody:
        return Waived(name, self.target, self.fee_key, self.amount)


class UnappliedAppliedAction(ActionRequest):
    """Put unapplied funds through the waterfall."""

    kind: Literal["unapplied_applied"]
    amount: Amount = Field(gt=0)

    def body(self, name: str) -> EventBody:
        return UnappliedApplied(name, self.amount)


class ChargedOffAction(ActionRequest):
    """Charge the loan off. Needs an admin."""

    kind: Literal["charged_off"]

    def body(self, name: str) -> EventBody:
        return ChargedOff(self.reason)


class ChargebackAction(ActionRequest):
    """A payment, or a part of it, was taken back from the lender (a card dispute)."""

    kind: Literal["chargeback"]
    payment_id: UUID
    amount: Amount = Field(gt=0)

    def body(self, name: str) -> EventBody:
        return Chargeback(name, str(self.payment_id), self.amount)


class NonAccrualSetAction(ActionRequest):
    """Put the loan on non-accrual, or take it off. Needs an admin."""

    kind: Literal["non_accrual_set"]
    non_accrual: Flag

    def body(self, name: str) -> EventBody:
        return NonAccrualSet(self.non_accrual, self.reason)


class RateChangedAction(ActionRequest):
    """Change the rate from the effective date on, to before `until` (default: for good), or cap it: a servicemember's loan
    bears no more than 6 % for the days of the service (50 USC 3937). Needs an admin."""

    kind: Literal["rate_changed"]
    rate: RateString = Field(examples=["0.06"])
    until: Date | None = None
    keep_payment: Flag = Field(False, description="the last instalment settles; else the rest is amortized anew")
    cap: Flag = Field(False, description="`rate` is the most the loan bears on those days; a lower rate stays")

    def body(self, name: str) -> EventBody:
        return RateChanged(self.rate, self.until, self.keep_payment, self.reason, self.cap or None)


class DeferredAction(ActionRequest):
    """Nothing is due with the next instalments that are not past due."""

    kind: Literal["deferred"]
    instalments: Count = Field(ge=1, le=480, examples=[2])
    accrue: Flag = Field(True, description="interest goes on meanwhile")
    to_end: Flag = Field(True, description="as many due dates are added at the end; else the last instalment takes it")

    def body(self, name: str) -> EventBody:
        return Deferred(self.instalments, self.accrue, self.to_end)


class ForborneAction(ActionRequest):
    """Instalments due up to `until` (included) are reduced to `payment`; without one nothing is due."""

    kind: Literal["forborne"]
    until: Date
    accrue: Flag = Field(True, description="interest goes on meanwhile")
    payment: Amount | None = Field(None, gt=0)

    def body(self, name: str) -> EventBody:
        return Forborne(self.until, self.accrue, self.payment)


class ExtendedAction(ActionRequest):
    """Add due dates at the end."""

    kind: Literal["extended"]
    periods: Count = Field(ge=1, le=480, examples=[6])
    reamortize: Flag = Field(True, description="with a new level payment; else the payment stays")

    def body(self, name: str) -> EventBody:
        return Extended(self.periods, self.reamortize)


class DueDateChangedAction(ActionRequest):
    """Move the next unpaid instalment that is not past due; later ones follow from there."""

    kind: Literal["due_date_changed"]
    new_first_due: Date

    def body(self, name: str) -> EventBody:
        return DueDateChanged(self.new_first_due)


class ReAgedAction(ActionRequest):
    """Bring a past-due loan current: the remaining instalments take what is unpaid."""

    kind: Literal["re_aged"]

    def body(self, name: str) -> EventBody:
        return ReAged()


class ReAmortizedAction(ActionRequest):
    """Compute a new level payment over the remaining due dates, or over `periods` instalments from the next one on."""

    kind: Literal["re_amortized"]
    periods: Count | None = Field(None, ge=1, le=480)

    def body(self, name: str) -> EventBody:
        return ReAmortized(self.periods)


Action = Annotated[
    FeeChargedAction
    | WaivedAction
    | UnappliedAppliedAction
    | ChargedOffAction
    | ChargebackAction
    | NonAccrualSetAction
    | RateChangedAction
    | DeferredAction
    | ForborneAction
    | ExtendedAction
    | DueDateChangedAction
    | ReAgedAction
    | ReAmortizedAction,
    Field(discriminator="kind"),
]
"""An event to record, by its kind."""

ADMIN_KINDS = frozenset({"charged_off", "non_accrual_set", "rate_changed"})
"""Kinds that need an admin."""


class ActionResult(LoanCorrection):
    """An event that was recorded (or, of a preview, would be), and all that it changes. `before` and `after`: the loan at
    the close of the business date; `schedule`: its instalments after it."""

    number: int = Field(description="of the event in the loan's history")
    kind: str = Field(examples=["fee_charged"])
    effective_date: Date
    data: dict[str, Any] = Field(description="what happened, by kind", examples=[{"amount": "25.00"}])
    schedule: Schedule


def action_result_of(acted: Acted) -> ActionResult:
    """An action as the API answers it."""
    corrected = acted.corrected
    return ActionResult(
        **dict(correction_of(corrected)),
        number=acted.event.sequence,
        kind=str(acted.event.kind),
        effective_date=acted.event.effective_date,
        data=event_to_dict(acted.event.body),
        schedule=current_schedule_of(corrected.loan_id, corrected.correction.after),
    )
