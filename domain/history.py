"""The history of a loan: every event ever recorded, and which of them still stand.

Nothing recorded is changed. A later record supersedes an earlier one with another body or date (a replacement), or with
nothing (a void); what is superseded stays, so the loan can be seen as it was known at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from domain.errors import NotFound, Refusal, WrongState
from domain.events import Boarded, Disbursed, Event, EventBody, PaymentReceived, PaymentSettled
from domain.replay import Replay, begin, in_order, replay, take
from domain.terms import LoanTerms

VOIDED: Final = "voided"
"""The kind of a record without a body."""

Known = date | datetime | None
"""What is known: a business date means all that was recorded on business dates up to it, an instant (UTC) all that was
recorded until then, None everything."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a loan's history.

    number: order of recording within the loan, from 1. position: the `sequence` of its event, its place among the events
    of a day; a record that supersedes another keeps that one's, so a backdated event keeps its place. body: None voids
    what is superseded. supersedes: the number of the record it takes the place of.
    """

    number: int
    position: int
    effective_date: date
    body: EventBody | None
    supersedes: int | None
    recorded_at: datetime
    recorded_business_date: date

    @property
    def kind(self) -> str:
        return VOIDED if self.body is None else str(self.event().kind)

    def event(self) -> Event:
        """The event of a record that is no void."""
        if self.body is None:
            raise ValueError(f"record {self.number} is a void")
        return Event(self.position, self.effective_date, self.body)


def standing(records: Iterable[Record], known_as_of: Known = None) -> dict[int, Record]:
    """By number, the records that stand: known, and superseded by nothing that is known. Voids do not stand.

    `records` in the order of their numbers. Raises WrongState when one supersedes what does not stand then.
    """
    result: dict[int, Record] = {}
    for record in records:
        if not _is_known(record, known_as_of):
            continue
        if record.supersedes is not None:
            if record.supersedes not in result:
                raise WrongState(f"Event {record.supersedes} does not stand.", state="superseded", allowed=["standing"])
            del result[record.supersedes]
        if record.body is not None:
            result[record.number] = record
    return result


def surviving(records: Sequence[Record], known_as_of: Known = None) -> list[Event]:
    """The events a replay is made of, in the order they were recorded.

    Those that stand; the settlement of a payment that was voided has nothing to settle and is left out.
    """
    stands = standing(records, known_as_of).values()
    received = {r.body.payment_id for r in stands if isinstance(r.body, PaymentReceived)}
    voided = {r.body.payment_id for r in records if isinstance(r.body, PaymentReceived)} - received
    return [
        record.event()
        for record in stands
        if not (isinstance(record.body, PaymentSettled) and record.body.payment_id in voided)
    ]


def surviving_with(events: Sequence[Event], records: Sequence[Record], new: Sequence[Record]) -> list[Event]:
    """`surviving(records)`, where the last of them are `new` and the others give `events`, which stay the same objects as
    long as nothing was ever superseded."""
    more = [record.event() for record in new if record.body is not None and record.supersedes is None]
    return [*events, *more] if len(events) + len(more) == len(records) else surviving(records)


def standing_record(records: Sequence[Record], number: int) -> Record:
    """The record of a number, which must stand.

    Raises NotFound when there is none, WrongState (naming what superseded it) when it does not stand.
    """
    record = next((r for r in records if r.number == number), None)
    if record is None:
        raise NotFound("event")
    if record.body is None:
        raise WrongState(f"Event {number} is a void: record anew what it voided.", state=VOIDED, allowed=["standing"])
    by = next((r for r in records if r.supersedes == number), None)
    if by is not None:
        raise WrongState(f"Event {number} was superseded by event {by.number}.", state="superseded", allowed=["standing"])
    return record


def fresh(records: Sequence[Record]) -> list[Record]:
    """The history of a loan that has only ever had the surviving events, recorded in their order, in the same places."""
    recorded = {record.position: record for record in standing(records).values()}
    events = in_order(surviving(records))
    return [replace(recorded[event.sequence], number=number, supersedes=None) for number, event in enumerate(events, 1)]


def check_void(records: Sequence[Record], record: Record) -> None:
    """Refuse to void an event that is not voided by itself: raises WrongState saying what to do instead.

    A payment is reversed, which is more than voiding its event; its settlement stands or falls with it. How a loan began
    can be voided only while nothing else stands.
    """
    match record.body:
        case PaymentReceived():
            raise WrongState("A payment is taken back by reversing it.", state=record.kind, allowed=["reverse"])
        case PaymentSettled():
            raise WrongState("A settlement stands or falls with its payment.", state=record.kind, allowed=["reverse"])
        case Disbursed() | Boarded():
            others = [event for event in surviving(records) if event.sequence != record.position]
            if others:
                raise WrongState(
                    f"The loan began with event {record.number}; what followed it, such as the {others[-1].kind} of "
                    f"{others[-1].effective_date}, has to be taken back first.",
                    state=record.kind,
                )
        case _:
            pass


def replay_corrected(terms: LoanTerms, records: Sequence[Record], as_of: date, first_new: int) -> Replay:
    """Replay a history whose records from the number `first_new` on are about to be recorded.

    Raises what is wrong with one of those; WrongState (code `later_event_impossible`), naming the first event recorded
    before that would be impossible after them.
    """
    try:
        return replay(terms, surviving(records), as_of)
    except Refusal:
        raise refusal_of(terms, records, as_of, first_new) from None


def refusal_of(terms: LoanTerms, records: Sequence[Record], as_of: date, first_new: int) -> Refusal:
    """Why a history cannot be replayed: see `replay_corrected`."""
    try:
        event, why = _first_impossible(terms, surviving(records), as_of)
    except Refusal as refusal:
        return refusal
    number = next(n for n, r in standing(records).items() if r.position == event.sequence)
    if number >= first_new:
        return why
    return WrongState(
        f"Event {number} ({event.kind} of {event.effective_date}) would be impossible: {why.detail}",
        state=str(event.kind),
        allowed=[f"correct event {number} first"],
        code="later_event_impossible",
    )


def _first_impossible(terms: LoanTerms, events: Iterable[Event], as_of: date) -> tuple[Event, Refusal]:
    """The event at which a replay that is refused fails, and why. Raises what is refused before any event happens."""
    until = in_order(event for event in events if event.effective_date <= as_of)
    fold = begin(terms, until)
    for event in until:
        try:
            take(fold, event)
        except Refusal as refusal:
            return event, refusal
    raise AssertionError("the replay is not refused")


def _is_known(record: Record, known_as_of: Known) -> bool:
    if known_as_of is None:
        return True
    if isinstance(known_as_of, datetime):
        return record.recorded_at <= known_as_of
    return record.recorded_business_date <= known_as_of
