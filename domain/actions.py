"""What staff may record of a loan, looked at on its own before it becomes part of the history."""

from __future__ import annotations

from collections.abc import Iterable

from domain.errors import InvalidInput
from domain.events import Event, Waived, WaiverTarget
from domain.money import format_amount
from domain.replay import replay
from domain.terms import LoanTerms


def check_action(terms: LoanTerms, events: Iterable[Event], event: Event) -> None:
    """Refuse an event that cannot happen when it is to: raises what its kind refuses, with pointers to its own fields.

    `events`: the loan's others; only those before it matter here. In a history a waiver of what is not owed waives nothing;
    a person who asks for one is refused.
    """
    before = [known for known in events if known.place < event.place]
    result = replay(terms, [*before, event], event.effective_date)
    if isinstance(event.body, Waived):
        _check_waived(event.body, result.waivers[event.body.waiver_id])


def _check_waived(body: Waived, amount: int) -> None:
    if amount == (amount if body.amount is None else body.amount) > 0:
        return
    if amount:
        raise InvalidInput.at("/amount", f"must be at most what is unpaid, {format_amount(amount)}")
    if body.target is WaiverTarget.FEE:
        raise InvalidInput.at("/fee_key", "is no fee of which anything is unpaid")
    raise InvalidInput.at("/target", "there is no interest to waive: none is earned and unpaid")
