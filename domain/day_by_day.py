"""A loan on many days, in one pass over its events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from domain.events import Event
from domain.replay import Replay, begin, close, earned_before, in_order, take
from domain.terms import LoanTerms


def day_by_day(terms: LoanTerms, events: Iterable[Event], days: Iterable[date]) -> Iterator[Replay]:
    """The loan at the close of each of `days`, which ascend: what `replay` gives for each, at the cost of one.

    A result is to be looked at before the next is asked for: what of it grows with the loan (allocations, applications) is
    shared. Raises what `replay` does.
    """
    days = list(days)
    if not days:
        return
    until = in_order(event for event in events if event.effective_date <= days[-1])
    fold, at = begin(terms, until), 0
    for day in days:
        while at < len(until) and until[at].effective_date < day:
            take(fold, until[at])
            at += 1
        before = earned_before(fold, day)
        while at < len(until) and until[at].effective_date == day:
            take(fold, until[at])
            at += 1
        yield close(fold, day, before)
