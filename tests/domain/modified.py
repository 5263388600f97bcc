"""Loans that are modified again and again, for Hypothesis: what is refused when it is tried is left out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from hypothesis import assume
from hypothesis import strategies as st

from domain.changes import (
    Deferred,
    DueDateChanged,
    Extended,
    Forborne,
    RateChanged,
    ReAged,
    ReAmortized,
)
from domain.errors import InvalidTerms, Refusal
from domain.events import Boarded, Disbursed, Event, EventBody, PaymentReceived
from domain.loan import LoanStatus
from domain.opening import check_boarding
from domain.plan import contract
from domain.program import (
    AdvanceOrder,
    AllocationScope,
    Component,
    DayCount,
    ExtraMoney,
    FirstPeriod,
    Frequency,
    InterestMethod,
    LateFee,
    LateFeeKind,
    PayoffInterest,
    PeriodInterest,
    Program,
)
from domain.replay import replay
from domain.rounding import Rounding
from domain.terms import LoanTerms

ORDERS = [
    (Component.FEES, Component.INTEREST, Component.PRINCIPAL),
    (Component.INTEREST, Component.PRINCIPAL, Component.FEES),
    (Component.PRINCIPAL, Component.INTEREST, Component.FEES),
]


def programs(method: InterestMethod) -> st.SearchStrategy[Program]:
    other = DayCount.ACT_ACT_ISDA if method is InterestMethod.SIMPLE_DAILY else DayCount.THIRTY_360_US
    return st.builds(
        Program,
        interest_method=st.just(method),
        day_count=st.sampled_from([DayCount.ACT_365F, other]),
        period_interest=st.sampled_from(PeriodInterest),
        first_period=st.sampled_from(FirstPeriod),
        frequency=st.sampled_from([Frequency.MONTHLY, Frequency.BIWEEKLY, Frequency.SEMIMONTHLY]),
        rounding=st.sampled_from(Rounding),
        allocation_order=st.sampled_from(ORDERS),
        allocation_scope=st.sampled_from(AllocationScope),
        extra_money=st.sampled_from(ExtraMoney),
        advance_order=st.sampled_from(AdvanceOrder),
        grace_days=st.integers(0, 20),
        late_fee=st.builds(LateFee, kind=st.sampled_from([LateFeeKind.NONE, LateFeeKind.FLAT]), flat=st.just(1500)),
        payoff_interest=st.sampled_from(PayoffInterest),
    )


@dataclass(frozen=True)
class Life:
    terms: LoanTerms
    events: tuple[Event, ...]

    @property
    def end(self) -> date:
        return max(event.effective_date for event in self.events)

    def days(self) -> list[date]:
        """Days worth looking at: of each event, the day before, and long after everything."""
        days = {event.effective_date for event in self.events} | {self.end + timedelta(days=n) for n in (1, 37, 400)}
        days |= {day - timedelta(days=1) for day in days}
        return sorted(day for day in days if day >= self.events[0].effective_date)


def modifications(on: date) -> st.SearchStrategy[EventBody]:
    """Modifications effective on `on`; some cannot be."""
    ahead = st.integers(1, 120).map(lambda n: on + timedelta(days=n))
    return st.one_of(
        st.builds(
            RateChanged,
            st.integers(0, 3600).map(lambda n: Fraction(n, 10_000)),
            st.none() | ahead,
            st.booleans(),
            cap=st.sampled_from([None, True]),
        ),
        st.builds(Deferred, st.integers(1, 3), st.booleans(), st.booleans()),
        st.builds(Forborne, ahead, st.booleans(), st.none() | st.integers(0, 5_000)),
        st.builds(Extended, st.integers(1, 6), st.booleans()),
        st.builds(DueDateChanged, ahead),
        st.just(ReAged()),
        st.builds(ReAmortized, st.none() | st.integers(1, 12)),
    )


@st.composite
def lives(draw: st.DrawFn, method: InterestMethod) -> Life:
    terms, opened, first = draw(_beginnings(method))
    agreed = contract(terms)
    level, span = agreed.plan.level_payment, (agreed.plan.due_dates[-1] - opened).days + 60
    found = draw(st.lists(st.tuples(st.integers(0, max(0, span)), st.booleans()), min_size=1, max_size=10))
    events = [first]
    for number, (offset, pays) in enumerate(sorted(found), 2):
        day = draw(st.sampled_from([d for d in agreed.plan.due_dates if d >= opened] or [opened]))
        day = opened + timedelta(days=offset) if draw(st.booleans()) else max(day, events[-1].effective_date)
        day = max(day, events[-1].effective_date)
        if pays:
            amount = draw(st.just(max(1, level)) | st.integers(1, max(2, 3 * level)))
            body: EventBody = PaymentReceived(amount, f"p{number}")
        else:
            body = draw(modifications(day))
        try:
            replay(terms, [*events, Event(number, day, body)], day)
        except Refusal:
            continue
        events.append(Event(number, day, body))
    return Life(terms, tuple(events))


@st.composite
def _beginnings(draw: st.DrawFn, method: InterestMethod) -> tuple[LoanTerms, date, Event]:
    start = date(2023, 1, 1) + timedelta(days=draw(st.integers(0, 400)))
    terms = LoanTerms(
        program=draw(programs(method)),
        principal=draw(st.integers(10_000, 3_000_000)),
        annual_rate=Fraction(draw(st.integers(0, 3600)), 10_000),
        periods=draw(st.integers(1, 12)),
        contract_date=start,
        first_due_date=start + timedelta(days=draw(st.integers(1, 40))),
        balloon=draw(st.sampled_from([0, 0, 5_000])),
        interest_only_periods=draw(st.sampled_from([0, 0, 2])),
    )
    try:
        plan = contract(terms).plan
    except InvalidTerms:
        assume(False)
        raise
    if draw(st.booleans()):
        return terms, start, Event(1, start, Disbursed(terms.principal))
    oldest = draw(st.sampled_from(plan.due_dates))
    body = Boarded(LoanStatus.ACTIVE, draw(st.integers(1, terms.principal)), draw(st.integers(0, 500)), 0, oldest, None)
    on = start + timedelta(days=draw(st.integers(0, 200)))
    try:
        check_boarding(terms, body, on)
    except InvalidTerms:
        assume(False)
    return terms, on, Event(1, on, body)
