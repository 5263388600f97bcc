"""What a draft of an autopay is: how much, from which account, counting on which day; and the drafts to come.

One function decides: when a draft is prepared, when it is looked at again before it is sent, and in the preview, which is
the same decision made on the loan as a replay says it will be. So what is previewed is what is drafted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from domain.cadence import Cadence, Occurrence, occurrence_on, upcoming
from domain.draft_amounts import FOLLOWS_INSTALMENTS, AmountTerms, decide, owed_through, wanted
from domain.events import Event, PaymentReceived
from domain.flags import LoanFlag, why_no_draft
from domain.fold import Fold
from domain.loan import SETTLED, LoanState, LoanStatus
from domain.program import ExtraMoney
from domain.replay import begin, in_order, take
from domain.snapshot import seen, state_of
from domain.terms import LoanTerms

PREVIEWED: Final = 12
"""So many drafts a preview shows."""
NO_INSTRUMENT: Final = "the autopay has no payment instrument"
PAID_OFF: Final = "the loan is paid off"
NOTHING_LEFT: Final = "nothing is left to draft"
"""Why an enrolment was completed: the two reasons which the reversal of a payment takes away."""
ENDED_BY_LOAN: Final = {
    LoanStatus.PAID_OFF: PAID_OFF,
    LoanStatus.CHARGED_OFF: "the loan is charged off",
    LoanStatus.TRANSFERRED: "the loan was transferred",
    LoanStatus.CANCELLED: "the loan was cancelled",
}
_ONE_DAY: Final = timedelta(days=1)


class Source(NamedTuple):
    """An account a draft may be taken from, and why it cannot be (None: it can)."""

    instrument_id: UUID
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a borrower has authorized: when, how much, from which accounts (`sources`, in the order in which they are tried).

    `next_process_date`: of the period that is waited for; None when there is none. `on_process_date`: a draft counts on
    the day it was processed, instead of its apply date. `recurring`: a fixed amount beside the loan's autopay. `extra`: what
    becomes of money beyond what is due and the current instalment (None: as the program says).
    """

    id: UUID
    cadence: Cadence
    amounts: AmountTerms
    sources: tuple[Source, ...]
    next_process_date: date | None
    on_process_date: bool = False
    recurring: bool = False
    extra: ExtraMoney | None = None

    @property
    def rank(self) -> tuple[bool, UUID]:
        """The order of drafts of one loan that go out on one day: the autopay comes last, so that it takes what the fixed
        amounts leave due, whichever process is the first to look."""
        return not self.recurring, self.id


@dataclass(frozen=True, slots=True)
class Drafting:
    """A draft as decided. `amount` in minor units, 0 with the `reason` why nothing is drafted. `apply_date`: of its period;
    `effective_date`: on which it counts. `instrument_id`: the account it is taken from. `extra`: see Authorization."""

    process_date: date
    apply_date: date
    effective_date: date
    amount: int
    reason: str | None = None
    instrument_id: UUID | None = None
    extra: ExtraMoney | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """The drafts to come, and why there are no more after them (None: there are)."""

    drafts: tuple[Drafting, ...]
    end_reason: str | None


@dataclass(slots=True)
class Prospect:
    """A loan as drafts are decided on it: its contract, the events that stand or are expected, and what was promised and is
    not applied to it yet (`in_transit`, minor units), and the flags that are set on it.

    Asked for one day after another it goes forward with its replay, instead of beginning anew for each; so the one that
    `with_draft` returns takes its place.
    """

    terms: LoanTerms
    events: tuple[Event, ...]
    in_transit: int = 0
    flags: frozenset[LoanFlag] = frozenset()
    _fold: Fold | None = field(init=False, default=None, compare=False, repr=False)
    _taken: int = field(init=False, default=0, compare=False, repr=False)
    _reached: date = field(init=False, default=date.min, compare=False, repr=False)

    def state(self, as_of: date) -> LoanState:
        """The loan at the close of a day, as a replay gives it."""
        if self._fold is None or as_of < self._reached:
            self.events = tuple(in_order(self.events))
            self._fold, self._taken = begin(self.terms, list(self.events)), 0
        while self._taken < len(self.events) and self.events[self._taken].effective_date <= as_of:
            take(self._fold, self.events[self._taken])
            self._taken += 1
        self._fold.pass_to(as_of)
        self._reached = as_of
        return state_of(seen(self._fold.book, as_of), as_of, self._fold.delinquency)

    def with_draft(self, draft: Drafting, at_most: int | None = None) -> Prospect:
        """The loan when a draft has come in, of no more than `at_most` minor units."""
        amount = draft.amount if at_most is None else min(draft.amount, at_most)
        if not amount:
            return self
        sequence = max((event.sequence for event in self.events), default=0) + 1
        body = PaymentReceived(amount, f"drafted:{sequence}", extra=draft.extra)
        event = Event(sequence, draft.effective_date, body)
        after = replace(self, events=tuple(in_order((*self.events, event))))
        if after.events.index(event) >= self._taken and draft.effective_date >= self._reached:
            after._fold, after._taken, after._reached = self._fold, self._taken, self._reached
            self._fold = None
        return after


def decide_draft(
    loan: Prospect, authorization: Authorization, process_date: date, as_of: date, holidays: frozenset[date]
) -> Drafting:
    """The draft of a period, as the loan stands at the close of `as_of`.

    In this order: the loan is active; no flag forbids it; one of the accounts can be drafted; the amount is above zero; the
    payoff rule. The payoff is the one of the day the draft counts on, less what was unapplied then and what was paid since,
    and a draft counts on no day before the loan was ours.
    """
    state = loan.state(as_of)
    dues = [row.due_date for row in state.instalments]
    apply_date = occurrence_on(authorization.cadence, dues, process_date, holidays).apply_date
    counts_on = as_of if authorization.on_process_date else apply_date
    effective = max(counts_on, state.opened_on or counts_on)
    nothing = Drafting(process_date, apply_date, effective, 0)
    if state.status is not LoanStatus.ACTIVE:
        return replace(nothing, reason=f"the loan is {state.status}")
    forbidden = why_no_draft(loan.flags)
    if forbidden is not None:
        return replace(nothing, reason=forbidden)
    source = next((one for one in authorization.sources if one.refusal is None), None)
    if source is None:
        first = authorization.sources[:1]
        return replace(nothing, reason=first[0].refusal if first else NO_INSTRUMENT)
    due_date = due_date_of(authorization.cadence, dues, apply_date)
    then = state if effective == as_of else loan.state(effective)
    payoff = 0 if then.payoff is None else then.payoff.total - then.unapplied - (state.total_paid - then.total_paid)
    decision = decide(
        authorization.amounts,
        wanted=wanted(authorization.amounts, state, apply_date, due_date),
        due=owed_through(state, due_date),
        payoff=payoff,
        in_transit=loan.in_transit,
    )
    if decision.reason is not None:
        return replace(nothing, reason=decision.reason)
    return replace(nothing, amount=decision.amount, instrument_id=source.instrument_id, extra=authorization.extra)


def following(
    authorization: Authorization, state: LoanState, not_before: date, holidays: frozenset[date]
) -> Occurrence | None:
    """The period that is waited for from `not_before` on, as the loan stands."""
    rows = [(row.due_date, row.status in SETTLED) for row in state.instalments]
    return following_dues(authorization.cadence, authorization.amounts, rows, not_before, holidays)


def following_dues(
    cadence: Cadence,
    amounts: AmountTerms,
    dues: Sequence[tuple[date, bool]],
    not_before: date,
    holidays: frozenset[date],
) -> Occurrence | None:
    """The period that is waited for from `not_before` on; `dues` are the loan's due dates, and whether they are settled. A
    draft of an instalment that is settled is left out."""
    left_out = cadence.follows_dues and amounts.kind in FOLLOWS_INSTALMENTS
    settled = {due for due, is_settled in dues if is_settled} if left_out else frozenset()
    return upcoming(cadence, [due for due, _ in dues], not_before, holidays, settled)


def ends(status: LoanStatus, next_process_date: date | None, end: date | None) -> str | None:
    """Why an active enrolment is completed, or None: its loan has ended, or its dates have."""
    if status in ENDED_BY_LOAN:
        return ENDED_BY_LOAN[status]
    if next_process_date is None:
        return NOTHING_LEFT
    if end is not None and next_process_date > end:
        return f"the end date {end} is reached"
    return None


class Ahead(NamedTuple):
    """A draft that may go out before another one: prepared, and then of no more than `at_most` minor units, or to be."""

    authorization: Authorization
    process_date: date
    at_most: int | None = None

    @property
    def place(self) -> tuple[date, tuple[bool, UUID]]:
        return self.process_date, self.authorization.rank


def expected(
    loan: Prospect,
    ahead: Iterable[Ahead],
    own: Authorization,
    process_date: date,
    as_of: date,
    holidays: frozenset[date],
) -> Prospect:
    """The loan as it is when of `ahead` those have gone out which come before the draft of `own` on `process_date`: of an
    earlier day, or of the same day and an earlier rank."""
    before = [one for one in ahead if one.place < (process_date, own.rank)]
    return with_drafts(loan, before, as_of, holidays)


def with_drafts(loan: Prospect, drafts: Iterable[Ahead], as_of: date, holidays: frozenset[date]) -> Prospect:
    """The loan when these drafts have gone out, each as it is decided then."""
    for authorization, process_date, at_most in sorted(drafts, key=lambda one: one.place):
        loan = loan.with_draft(decide_draft(loan, authorization, process_date, as_of, holidays), at_most)
    return loan


def decide_period(
    loan: Prospect, own: Authorization, process_date: date, as_of: date, holidays: frozenset[date]
) -> tuple[Drafting, Occurrence | None, Prospect]:
    """The draft of a period, the period that is waited for after it, and the loan when the draft has gone out."""
    draft = decide_draft(loan, own, process_date, as_of, holidays)
    after = loan.with_draft(draft)
    return draft, following(own, after.state(as_of), process_date + _ONE_DAY, holidays), after


def preview(
    loan: Prospect,
    authorizations: Sequence[Authorization],
    own: UUID,
    today: date,
    holidays: frozenset[date],
    count: int = PREVIEWED,
) -> Outlook:
    """The next `count` drafts of the authorization `own`, with all others of the loan (`authorizations` holds those that
    draft, `own` too) being drafted beside it. Between them nothing happens but what the replay derives."""
    waiting = {one.id: one for one in authorizations}
    found: list[Drafting] = []
    state = loan.state(today)
    while (reason := ends(state.status, waiting[own].next_process_date, waiting[own].cadence.end)) is None:
        if len(found) == count:
            return Outlook(tuple(found), None)
        one = min((each for each in waiting.values() if _goes_on(each)), key=_order)
        assert one.next_process_date is not None
        as_of = max(one.next_process_date, today)
        draft, after, loan = decide_period(loan, one, one.next_process_date, as_of, holidays)
        if one.id == own:
            found.append(draft)
        state = loan.state(as_of)
        waiting[one.id] = replace(one, next_process_date=None if after is None else after.process_date)
    return Outlook(tuple(found), reason)


def _goes_on(one: Authorization) -> bool:
    return one.next_process_date is not None and (one.cadence.end is None or one.next_process_date <= one.cadence.end)


def _order(one: Authorization) -> tuple[date, tuple[bool, UUID]]:
    assert one.next_process_date is not None
    return one.next_process_date, one.rank


def due_date_of(cadence: Cadence, dues: Sequence[date], apply_date: date) -> date:
    """The due date that a draft of an apply date pays for: that date where the cadence follows the loan's due dates, else
    the first of `dues` from it on; after the last one, that."""
    if cadence.follows_dues:
        return apply_date
    return next((due for due in sorted(dues) if due >= apply_date), max(dues, default=apply_date))
