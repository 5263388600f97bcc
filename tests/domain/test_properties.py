"""What is true of every loan, whatever its terms, its program and its borrower do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise, permutations
from random import Random

from hypothesis import assume, given
from hypothesis import strategies as st

from domain.errors import InvalidTerms
from domain.events import Boarded, Disbursed, Event, EventBody, PaymentReceived, PaymentSettled
from domain.journal import Entry, accrual_corrections, corrections
from domain.loan import LoanStatus, state_hash
from domain.opening import check_boarding
from domain.payoff import payoff_quote
from domain.plan import contract
from domain.program import (
    AllocationScope,
    Component,
    ExtraMoney,
    FirstPeriod,
    Frequency,
    LateFee,
    LateFeeKind,
    PayoffInterest,
    PeriodInterest,
    Program,
)
from domain.replay import preview, replay
from domain.rounding import Rounding
from domain.terms import LoanTerms
from tests.domain.loans import assert_books_agree, gl
from tests.properties.budget import tries

FAST = tries(60)

programs = st.builds(
    Program,
    period_interest=st.sampled_from(PeriodInterest),
    first_period=st.sampled_from(FirstPeriod),
    frequency=st.sampled_from([Frequency.MONTHLY, Frequency.BIWEEKLY, Frequency.SEMIMONTHLY]),
    rounding=st.sampled_from(Rounding),
    allocation_order=st.sampled_from(list(permutations(Component))),
    allocation_scope=st.sampled_from(AllocationScope),
    extra_money=st.sampled_from(ExtraMoney),
    grace_days=st.integers(0, 40),
    late_fee=st.builds(
        LateFee,
        kind=st.sampled_from(LateFeeKind),
        flat=st.integers(0, 5000),
        percent=st.sampled_from([Fraction(0), Fraction(5, 100), Fraction(1, 3)]),
        cap=st.none() | st.integers(0, 4000),
    ),
    payoff_interest=st.sampled_from(PayoffInterest),
    payoff_counts_today=st.booleans(),
)


@dataclass(frozen=True)
class Life:
    """A loan and what happened to it, the beginning first."""

    terms: LoanTerms
    events: tuple[Event, ...]

    @property
    def end(self) -> date:
        return max(event.effective_date for event in self.events)


@st.composite
def lives(draw: st.DrawFn) -> Life:
    start = date(2020, 1, 1) + timedelta(days=draw(st.integers(0, 800)))
    terms = LoanTerms(
        program=draw(programs),
        principal=draw(st.integers(1, 300) | st.integers(10_000, 3_000_000)),
        annual_rate=Fraction(draw(st.integers(0, 3600)), 10_000),
        periods=draw(st.integers(1, 14)),
        contract_date=start,
        first_due_date=start + timedelta(days=draw(st.integers(1, 45))),
    )
    try:
        agreed = contract(terms)
    except InvalidTerms:
        assume(False)
        raise
    opened, body = draw(_beginnings(terms))
    term = (agreed.plan.due_dates[-1] - opened).days + 60
    level = agreed.plan.level_payment
    amounts = st.one_of(
        st.just(max(1, level)),
        st.integers(1, max(2, 2 * level)),
        st.integers(1, max(2, terms.principal)),
        st.just(2 * terms.principal),
    )
    days = st.integers(0, max(0, term)).map(lambda offset: opened + timedelta(days=offset)) | st.sampled_from(
        [day for day in agreed.plan.due_dates if day >= opened] or [opened]
    )
    found = draw(st.lists(st.tuples(days, amounts, st.booleans()), max_size=12))
    events = [Event(1, opened, body)]
    for number, (day, amount, settled) in enumerate(found):
        events.append(Event(2 * number + 2, day, PaymentReceived(amount, f"p{number}")))
        if settled:
            events.append(Event(2 * number + 3, day + timedelta(days=2), PaymentSettled(f"p{number}")))
    return Life(terms, tuple(events))


@st.composite
def _beginnings(draw: st.DrawFn, terms: LoanTerms) -> tuple[date, EventBody]:
    if draw(st.booleans()):
        return terms.contract_date, Disbursed(terms.principal)
    dues = contract(terms).plan.due_dates
    on = terms.contract_date + timedelta(days=draw(st.integers(0, (dues[-1] - terms.contract_date).days + 30)))
    body = Boarded(
        status=draw(st.sampled_from([LoanStatus.ACTIVE, LoanStatus.ACTIVE, LoanStatus.CHARGED_OFF])),
        principal=draw(st.integers(1, terms.principal)),
        interest=draw(st.integers(0, max(1, terms.principal // 20))),
        late_fees=draw(st.integers(0, 5000)),
        oldest_unpaid_due_date=draw(st.sampled_from(dues)),
        level_payment=None,
    )
    try:
        check_boarding(terms, body, on)
    except InvalidTerms:
        assume(False)
    return on, body


def some_days(life: Life) -> list[date]:
    """Days worth looking at: of each event, the day before, month ends, and long after everything."""
    days = {event.effective_date for event in life.events} | {life.end + timedelta(days=n) for n in (1, 37, 400)}
    days |= {day - timedelta(days=1) for day in days}
    return sorted(days)


@FAST
@given(lives())
def test_books_and_balances_agree_on_every_day(life: Life) -> None:
    for day in some_days(life):
        result = replay(life.terms, life.events, day)
        loan = result.state
        assert_books_agree(result)
        assert min(loan.principal_balance, loan.accrued_interest, loan.fees_balance, loan.unapplied) >= 0
        if loan.status is not LoanStatus.CHARGED_OFF:
            outstanding = sum(row.principal - row.principal_paid for row in loan.instalments)
            assert outstanding == loan.principal_balance
        for row in loan.instalments:
            assert row.payment == row.principal + row.interest
            assert 0 <= row.principal_paid <= row.principal
            assert 0 <= row.interest_paid <= row.interest
        assert loan.fees_balance == sum(fee.amount - fee.paid for fee in loan.fees)
        assert len({fee.key for fee in loan.fees}) == len(loan.fees)
        if loan.status is LoanStatus.PAID_OFF:
            owed = (loan.principal_balance, loan.accrued_interest, loan.fees_balance, loan.past_due_amount)
            assert owed == (0, 0, 0, 0)


@FAST
@given(lives())
def test_every_payment_is_its_allocation_and_what_stays_unapplied(life: Life) -> None:
    result = replay(life.terms, life.events, life.end)
    paid = {event.body.payment_id: event.body.amount for event in life.events if isinstance(event.body, PaymentReceived)}
    assert {key: allocation.amount for key, allocation in result.allocations.items()} == paid
    assert result.state.total_paid == sum(paid.values())
    kept = sum(allocation.unapplied for allocation in result.allocations.values())
    applied = sum(each.amount - each.unapplied for each in result.applications.values())
    assert result.state.unapplied == kept - applied
    for allocation in result.allocations.values():
        for line in allocation.lines:
            comes_back = line.component is Component.INTEREST and allocation.effective_date == result.state.paid_off_on
            assert line.amount > 0 or (line.amount < 0 and comes_back)
        assert sum(line.amount for line in allocation.lines) == allocation.amount - allocation.unapplied


@FAST
@given(lives(), st.randoms(use_true_random=False))
def test_the_order_in_which_events_are_given_does_not_matter(life: Life, random: Random) -> None:
    shuffled = list(life.events)
    random.shuffle(shuffled)
    day = life.end + timedelta(days=20)
    assert replay(life.terms, shuffled, day) == replay(life.terms, life.events, day)


@FAST
@given(lives(), st.randoms(use_true_random=False))
def test_nor_does_the_order_of_recording_on_different_days(life: Life, random: Random) -> None:
    days = [(event.effective_date, type(event.body)) for event in life.events]
    assume(len(set(days)) == len(days))
    sequences = [event.sequence for event in life.events]
    random.shuffle(sequences)
    renumbered = [
        Event(number, event.effective_date, event.body) for number, event in zip(sequences, life.events, strict=True)
    ]
    hashes = {state_hash(replay(life.terms, events, life.end).state) for events in (renumbered, life.events)}
    assert len(hashes) == 1


@FAST
@given(lives(), st.integers(1, 4_000_000), st.integers(0, 500))
def test_a_preview_is_what_is_then_done(life: Life, amount: int, offset: int) -> None:
    opened = life.events[0].effective_date
    day = min(opened + timedelta(days=offset), life.end)
    before = replay(life.terms, life.events, life.end)
    seen = preview(life.terms, life.events, amount, day, life.end)
    assert replay(life.terms, life.events, life.end) == before
    done = replay(life.terms, [*life.events, Event(10**6, day, PaymentReceived(amount, "new"))], life.end)
    assert state_hash(seen.state) == state_hash(done.state)
    assert seen.allocation.lines == done.allocations["new"].lines
    assert seen.allocation.unapplied == done.allocations["new"].unapplied


@FAST
@given(lives())
def test_what_was_is_not_changed_by_what_comes_later(life: Life) -> None:
    """The day's books are a prefix of the later ones, so only what is effective from a change on is ever corrected."""
    last = replay(life.terms, life.events, life.end + timedelta(days=400))
    for day in some_days(life)[::3]:
        then = replay(life.terms, life.events, day)
        assert list(then.entries) == [entry for entry in last.entries if entry.effective_date <= day]
        first = day.replace(day=1)
        earlier = {month: amount for month, amount in last.accruals.items() if month < first}
        assert {month: amount for month, amount in then.accruals.items() if month < first} == earlier


@FAST
@given(lives())
def test_closing_every_day_and_backdating_end_in_the_same_books(life: Life) -> None:
    """Post after each recording, in the order of recording, on a business date that goes forward: the journal nets to
    what one replay implies."""
    posted: list[Entry] = []
    accrued: dict[date, int] = {}
    day = life.events[0].effective_date
    for known in range(1, len(life.events) + 1):
        day = max(day, life.events[known - 1].effective_date)
        result = replay(life.terms, life.events[:known], day)
        posted += corrections(result.entries, posted)
        posted += accrual_corrections(result.accruals, accrued, day)
        accrued = result.accruals
        assert corrections(result.entries, posted) == []
        assert gl(posted) == gl(result.entries, result.accruals)


@FAST
@given(lives(), st.integers(0, 500))
def test_the_quoted_payoff_pays_off(life: Life, offset: int) -> None:
    day = life.events[0].effective_date + timedelta(days=offset)
    known = [event for event in life.events if event.effective_date <= day]
    loan = replay(life.terms, known, day).state
    assume(loan.status is LoanStatus.ACTIVE)
    total = payoff_quote(loan).total
    assert total > 0
    after = preview(life.terms, known, total, day, day)
    assert (after.state.status, after.allocation.unapplied) == (LoanStatus.PAID_OFF, 0)
    if life.terms.program.payoff_interest is PayoffInterest.ACCRUED and total > 1:
        assert preview(life.terms, known, total - 1, day, day).state.status is LoanStatus.ACTIVE


@FAST
@given(lives())
def test_interest_is_never_unearned_while_the_loan_runs(life: Life) -> None:
    earned = []
    for day in some_days(life):
        result = replay(life.terms, life.events, day)
        if result.state.status is LoanStatus.ACTIVE:
            earned.append(sum(result.accruals.values()))
    assert all(before <= after for before, after in pairwise(earned))
