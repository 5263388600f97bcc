"""What a loan becomes under what is planned for it: the engine run forward, day by day of those on which something happens.

It is the fold of every replay, so recording the same things on the same days gives the very rows it shows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from domain.accrual import earned
from domain.calendars import due_dates
from domain.errors import InvalidInput, Refusal, WrongState
from domain.events import FORMS_BY_BODY, Event, EventBody, EventKind, PaymentReceived
from domain.fold import Fold
from domain.loan import Allocation, Fee, FeeKind, LoanState, LoanStatus
from domain.payoff import payoff_quote
from domain.program import Frequency
from domain.replay import begin, in_order, take
from domain.snapshot import seen, state_of
from domain.terms import LoanTerms
from domain.working import Book, OpenRow

MAX_PLANS: Final = 100
MAX_PAYMENTS: Final = 1_200
"""So many payments a simulation makes at most: those of 100 years of monthly instalments."""
FARTHEST: Final = timedelta(days=366 * 60)
"""So far ahead of the business date a simulation looks at most."""
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PayAsDue:
    """Each instalment is paid on its due date, from one date to another (None: from the first, to the last).

    `catch_up`: with all that is past due and the fees, so that the loan is current then; otherwise the instalment alone.
    """

    since: date | None = None
    until: date | None = None
    catch_up: bool = True


@dataclass(frozen=True, slots=True)
class Skip:
    """The next `count` due dates from `since` on (None: from the first) are not paid by `PayAsDue`."""

    count: int
    since: date | None = None


@dataclass(frozen=True, slots=True)
class PayRegularly:
    """`amount` minor units from `first` on, `count` times or until a date (neither: until the loan is paid off). The last
    one is no more than the payoff."""

    amount: int
    first: date
    frequency: Frequency = Frequency.MONTHLY
    count: int | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class PayOnce:
    """`amount` minor units on a day, besides what else is paid."""

    amount: int
    on: date


@dataclass(frozen=True, slots=True)
class PayOff:
    """What pays the loan off on a day."""

    on: date


@dataclass(frozen=True, slots=True)
class Act:
    """Any other source event."""

    body: EventBody
    on: date


Plan = PayAsDue | Skip | PayRegularly | PayOnce | PayOff | Act


@dataclass(frozen=True, slots=True)
class Day:
    """A day on which something happens, at its close; amounts in minor units.

    `due`: what the instalment due that day asks for in all (0 when none is). `payments` in their order, `events` the kinds
    of the others, `fees` those assessed since the row before, `interest_earned` since then. The
    state is without its instalments.
    """

    on: date
    due: int
    payments: tuple[Allocation, ...]
    events: tuple[EventKind, ...]
    fees: tuple[Fee, ...]
    interest_earned: int
    state: LoanState


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulation comes to, counted from its first day on; minor units. `paid_off_on`: None when it is not by
    `through`."""

    through: date
    status: LoanStatus
    paid_off_on: date | None
    payments: int
    total_paid: int
    principal_paid: int
    interest_paid: int
    fees_paid: int
    principal_balance: int


@dataclass(frozen=True, slots=True)
class Simulation:
    days: tuple[Day, ...]
    outcome: Outcome
    baseline: Outcome


def simulate(
    terms: LoanTerms, events: Iterable[Event], today: date, plans: Sequence[Plan], until: date | None = None
) -> Simulation:
    """Run a loan forward from the close of `today`, when `events` have happened, under `plans`.

    Plans of one day happen in the order a replay gives them, else in their own. It ends when the loan is paid off (or
    charged off), on `until`, or when nothing planned is left and the last instalment is due. The baseline pays on each due
    date all that is due.

    Raises WrongState unless the loan is active today; InvalidInput naming the plan ("/events/2/amount") for what is before
    today, too far ahead, too much, or what a replay refuses.
    """
    check_plans(plans, today, until)
    known = list(events)
    run = _Run(terms, known, today, plans, until)
    run.forward()
    usual = _Run(terms, known, today, [PayAsDue()], None)
    usual.forward(seen=False)
    return Simulation(tuple(run.days), run.outcome(), usual.outcome())


def check_plans(plans: Sequence[Plan], today: date, until: date | None) -> None:
    """Refuse plans whose dates or sizes cannot be: raises InvalidInput at the plan's field."""
    if len(plans) > MAX_PLANS:
        raise InvalidInput.at("/events", f"must be at most {MAX_PLANS}")
    last = today + FARTHEST
    if until is not None and not today <= until <= last:
        raise InvalidInput.at("/until", f"must be from {today} to {last}", code="invalid_date")
    for index, plan in enumerate(plans):
        for name, day in _dates(plan):
            if day is not None and not today <= day <= last:
                raise InvalidInput.at(f"/events/{index}/{name}", f"must be from {today} to {last}", code="invalid_date")
        if isinstance(plan, PayRegularly):
            _check_regular(plan, f"/events/{index}")


def _dates(plan: Plan) -> list[tuple[str, date | None]]:
    match plan:
        case PayAsDue():
            return [("from", plan.since), ("until", plan.until)]
        case Skip():
            return [("from", plan.since)]
        case PayRegularly():
            return [("from", plan.first), ("until", plan.until)]
        case Act():
            return [("effective_date", plan.on)]
        case PayOnce() | PayOff():
            return [("date", plan.on)]


def _check_regular(plan: PayRegularly, pointer: str) -> None:
    if plan.count is not None and plan.until is not None:
        raise InvalidInput.at(f"{pointer}/until", "give count or until, not both")
    if plan.count is not None and plan.count > MAX_PAYMENTS:
        raise InvalidInput.at(f"{pointer}/count", f"must be at most {MAX_PAYMENTS}")
    if plan.frequency is Frequency.SINGLE:
        raise InvalidInput.at(f"{pointer}/frequency", "must be one that repeats: a single payment is a payment")


class _Run:
    """A loan on its way forward."""

    def __init__(
        self, terms: LoanTerms, events: list[Event], today: date, plans: Sequence[Plan], until: date | None
    ) -> None:
        self.today, self.plans, self.until = today, plans, until
        self._state: LoanState | None
        self._book: Book | None
        self.sequence = max((event.sequence for event in events), default=0)
        known = in_order(event for event in events if event.effective_date <= today)
        self.terms, self.taken = terms, known
        self.fold = _folded(terms, known)
        self._reach(today)
        if self.state.status is not LoanStatus.ACTIVE:
            raise WrongState(
                f"The loan is {self.state.status}: only an active loan is simulated.",
                state=str(self.state.status),
                allowed=[str(LoanStatus.ACTIVE)],
            )
        self.start, self.applied = self.state, set(self.fold.applications)
        self.fees, self.earned, self.due = len(self.fold.book.fees), earned(self.fold.book, today), 0
        self.payments: list[Allocation] = []
        self.days: list[Day] = []
        self.regular = [_regular_days(plan) for plan in plans]
        once = {plan.on for plan in plans if isinstance(plan, PayOnce | PayOff | Act)}
        self.planned = sorted(once.union(*self.regular))
        self.order = sorted(range(len(plans)), key=lambda index: _rank(plans[index]))
        self.skipped: list[int] = [plan.count if isinstance(plan, Skip) else 0 for plan in plans]

    @property
    def state(self) -> LoanState:
        """The loan as it stands on the day reached."""
        if self._state is None:
            self._state = state_of(self.book, self.day, self.fold.delinquency, with_instalments=False)
        return self._state

    @property
    def book(self) -> Book:
        """The book as it is seen on the day reached."""
        if self._book is None:
            self._book = seen(self.fold.book, self.day)
        return self._book

    def forward(self, *, seen: bool = True) -> None:
        """From day to day, until there is nothing more to come; `seen` keeps the days."""
        day = self._next_day(self.today - _ONE_DAY)
        while day is not None and self.fold.book.status is LoanStatus.ACTIVE:
            paid, acts = self._live(day)
            if seen:
                self.days.append(self._seen(day, paid, acts))
            day = self._next_day(day)

    def outcome(self) -> Outcome:
        """What it came to."""
        state, later = self.state, (paid for key, paid in self.fold.applications.items() if key not in self.applied)
        paid = [*self.payments, *later]
        return Outcome(
            through=state.as_of,
            status=state.status,
            paid_off_on=state.paid_off_on,
            payments=len(self.payments),
            total_paid=state.total_paid - self.start.total_paid,
            principal_paid=sum(each.principal for each in paid),
            interest_paid=sum(each.interest for each in paid),
            fees_paid=sum(each.fees for each in paid),
            principal_balance=state.principal_balance,
        )

    def _next_day(self, after: date) -> date | None:
        """The next day on which an instalment is due or something is planned."""
        due = next((row.due_date for row in self.book.rows if row.due_date > after), None)
        planned = self.planned[bisect_right(self.planned, after) :][:1]
        day = min([*planned, *([] if due is None else [due])], default=None)
        if day is not None and self.until is not None and day > self.until:
            return self.until if after < self.until else None
        return day

    def _live(self, day: date) -> tuple[list[Allocation], list[EventKind]]:
        """What is planned for a day happens: the payments, and the kinds of the other events."""
        self._reach(day)
        self.due = self._due_on(day)
        skipped = self._row(day) is not None and self._skips(day)
        paid, acts = [], []
        for index in self.order:
            if self.fold.book.status is not LoanStatus.ACTIVE:
                break
            plan = self.plans[index]
            try:
                if isinstance(plan, Act) and plan.on == day:
                    self._take(plan.body, day)
                    acts.append(FORMS_BY_BODY[type(plan.body)].kind)
                elif amount := 0 if skipped and isinstance(plan, PayAsDue) else self._amount(index, plan, day):
                    paid.append(self._pay(amount, day))
            except Refusal as refusal:
                raise _at_plan(refusal, index) from None
        return paid, acts

    def _seen(self, day: date, paid: list[Allocation], acts: list[EventKind]) -> Day:
        fees, earned_before = self.fees, self.earned
        self.fees, self.earned = len(self.fold.book.fees), earned(self.fold.book, day)
        return Day(
            on=day,
            due=self.due,
            payments=tuple(paid),
            events=tuple(acts),
            fees=self.state.fees[fees:],
            interest_earned=self.earned - earned_before,
            state=self.state,
        )

    def _reach(self, day: date) -> None:
        self.fold.pass_to(day)
        self.day, self._state, self._book = day, None, None

    def _due_on(self, day: date) -> int:
        """What the instalment due on a day asks for in all, before anything of the day is paid."""
        row = self._row(day)
        return 0 if row is None else row.principal + row.interest

    def _row(self, day: date) -> OpenRow | None:
        return next((row for row in self.book.rows if row.due_date == day), None)

    def _take(self, body: EventBody, day: date) -> None:
        self.sequence += 1
        event = Event(self.sequence, day, body)
        if event.place < self.taken[-1].place:  # it comes before what has happened today already
            self.taken = in_order([*self.taken, event])
            self.fold = _folded(self.terms, self.taken)
        else:
            self.taken.append(event)
            take(self.fold, event)
        self._reach(day)

    def _pay(self, amount: int, day: date) -> Allocation:
        if len(self.payments) == MAX_PAYMENTS:
            message = f"makes more than {MAX_PAYMENTS} payments before the loan is paid off: pay more, or until a day"
            raise InvalidInput.at("", message, code="too_many_payments")
        name = f"simulated:{len(self.payments) + 1}"
        self._take(PaymentReceived(amount, name), day)
        self.payments.append(self.fold.allocations[name])
        return self.payments[-1]

    def _amount(self, index: int, plan: Plan, day: date) -> int:
        """What a plan pays on a day, in minor units: never more than the payoff, but for a payment of a given amount."""
        match plan:
            case PayOnce():
                return plan.amount if plan.on == day else 0
            case PayOff():
                return payoff_quote(self.state).total if plan.on == day else 0
            case PayRegularly():
                return min(plan.amount, payoff_quote(self.state).total) if day in self.regular[index] else 0
            case PayAsDue():
                return self._due(plan, day)
            case _:
                return 0

    def _due(self, plan: PayAsDue, day: date) -> int:
        state = self.state
        row = self._row(day)
        if row is None or not (plan.since or day) <= day <= (plan.until or day):
            return 0
        wanted = row.unpaid + sum(fee.unpaid for fee in state.fees if _is_own(fee, row))
        if plan.catch_up:
            wanted = state.next_due_amount if state.next_due_date == day else state.past_due_amount + state.fees_balance
        return min(wanted, payoff_quote(state).total)

    def _skips(self, day: date) -> bool:
        for index, plan in enumerate(self.plans):
            if isinstance(plan, Skip) and self.skipped[index] and (plan.since or day) <= day:
                self.skipped[index] -= 1
                return True
        return False


def _folded(terms: LoanTerms, events: list[Event]) -> Fold:
    fold = begin(terms, events)
    for event in events:
        take(fold, event)
    return fold


def _rank(plan: Plan) -> int:
    """Where a plan stands within its day: what a replay puts at the opening of a day comes before money."""
    return FORMS_BY_BODY[type(plan.body) if isinstance(plan, Act) else PaymentReceived].rank


def _is_own(fee: Fee, row: OpenRow) -> bool:
    return fee.kind is FeeKind.INSTALMENT and fee.instalment_number == row.number


def _regular_days(plan: Plan) -> frozenset[date]:
    if not isinstance(plan, PayRegularly):
        return frozenset()
    count = plan.count if plan.count is not None else MAX_PAYMENTS + 1
    return frozenset(day for day in due_dates(plan.frequency, plan.first, count) if plan.until is None or day <= plan.until)


def _at_plan(refusal: Refusal, index: int) -> Refusal:
    """The refusal of something planned, with pointers into the plan."""
    if not isinstance(refusal, InvalidInput):
        return refusal
    errors = [replace(error, pointer=f"/events/{index}{error.pointer}") for error in refusal.errors]
    return InvalidInput(f"events {index}: {refusal.detail}", code=refusal.code, errors=errors)
