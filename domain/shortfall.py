"""What becomes of refunds and applications of money that a bank takes back afterwards: a bank's return always posts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from domain.events import Event, EventBody, Refunded
from domain.replay import replay
from domain.terms import LoanTerms
from domain.unapplied import NotUnapplied


def cover_shortfalls(terms: LoanTerms, events: Iterable[Event], as_of: date) -> dict[int, EventBody | None]:
    """What must supersede the events that took from unapplied funds what a bank has taken back since; by their sequence.

    A refund keeps its amount, and the borrower owes what was missing (1130); an application shrinks to what there is
    (None: to nothing). `events` without the payment that was returned; with these bodies `replay` refuses none of them for
    want of unapplied funds. Raises what `replay` raises for other reasons.
    """
    known = {event.sequence: event for event in events}
    changed: dict[int, EventBody | None] = {}
    while True:
        try:
            replay(terms, known.values(), as_of)
        except NotUnapplied as short:
            event = next(event for event in known.values() if event.body == short.body)
            body = _with_less(short)
            changed[event.sequence] = body
            if body is None:
                del known[event.sequence]
            else:
                known[event.sequence] = replace(event, body=body)
        else:
            return changed


def _with_less(short: NotUnapplied) -> EventBody | None:
    body = short.body
    if isinstance(body, Refunded):
        return replace(body, shortfall=(body.shortfall or 0) + short.missing)
    left = body.amount - short.missing
    return replace(body, amount=left) if left else None
