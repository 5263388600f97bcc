"""A replay that is looked at on its way and goes on: what is recorded next does not begin it anew.

It says what `replay` says, event for event (tests/properties holds them against each other); only what comes before
something that has happened in it already needs a replay from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from domain.events import Event, PaymentSettled, RefundSent, ReimbursementSent
from domain.replay import Replay, begin, close, earned_before, in_order, payment_amounts, take
from domain.terms import LoanTerms

_LAST_OF_DAY: Final = (PaymentSettled, RefundSent, ReimbursementSent)
"""Kinds that come last in a day and do nothing but post: they can be taken back."""


class GoingOn:
    """The replay of some events, in the middle of it. Once an event was refused it cannot go on."""

    def __init__(self, terms: LoanTerms, events: Iterable[Event]) -> None:
        """Raises what `replay` does for events that cannot be."""
        self._known = list(events)  # in the order they were recorded
        self._events = in_order(self._known)
        self._fold = begin(terms, [])
        self._taken = 0  # so many of the events have happened
        self._day = date.min  # looked at last
        self._earned_before = 0
        self._posted = 0  # so many entries there were before the last events of the day
        self._last: list[Event] = []  # those
        self._seen: Replay | None = None  # the close of that day, while nothing was recorded since

    def can_see(self, day: date) -> bool:
        """Whether the close of `day` is still to come, or was the last that was looked at."""
        return day >= self._day

    def follow(self, events: Sequence[Event]) -> bool:
        """Take in what was recorded since: `events` are all, in the order they were recorded. Returns False, and is as it
        was, when one that was known is none any more, or one that is new comes before what has happened already."""
        known = len(self._known)
        if events[:known] != self._known:
            return False
        new = events[known:]
        kept = self._taken - len(self._last)
        reached = self._events[kept - 1].place if kept else None
        if any(event.effective_date < self._day or (reached is not None and event.place < reached) for event in new):
            return False
        if new:
            self._known, self._events, self._seen = list(events), in_order(events), None
        return True

    def at(self, as_of: date) -> Replay:
        """What `replay` says of the events at the close of `as_of`, which `can_see` must allow. Raises what that does."""
        if as_of == self._day and self._seen is not None:
            return self._seen
        fold, events = self._fold, self._events
        if as_of > self._day:
            self._last = []  # they have happened for good
        self._take_back()
        until = [event for event in events if event.effective_date <= as_of]
        fold.payments = payment_amounts(until)
        while self._taken < len(until) and until[self._taken].effective_date < as_of:
            self._next()
        if as_of > self._day:
            self._day = as_of
            self._earned_before = earned_before(fold, as_of)
        while self._taken < len(until) and not isinstance(until[self._taken].body, _LAST_OF_DAY):
            self._next()
        fold.pass_to(as_of)
        self._posted, self._last = len(fold.entries), until[self._taken :]
        for _ in self._last:
            self._next()
        self._seen = close(fold, as_of, self._earned_before)
        return self._seen

    def _next(self) -> None:
        take(self._fold, self._events[self._taken])
        self._taken += 1

    def _take_back(self) -> None:
        fold = self._fold
        if not self._last:
            return
        del fold.entries[self._posted :]
        for event in self._last:
            match event.body:
                case PaymentSettled(payment_id):
                    fold.settled.discard(payment_id)
                case RefundSent(refund_id):
                    fold.sent.discard(f"refund:{refund_id}")
                case ReimbursementSent(reimbursement_id):
                    fold.sent.discard(f"reimbursement:{reimbursement_id}")
        self._taken -= len(self._last)
        self._last = []
