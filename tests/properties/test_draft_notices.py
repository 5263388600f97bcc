"""No draft that a borrower is to be told of is overlooked because what is stored of its loan looks plain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import takewhile
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.cadence import Cadence, DateAnchor, DraftFrequency, Scheduling, occurrences
from domain.changes import Deferred, Extended, RateChanged
from domain.draft_amounts import AmountTerms, AmountType, PayoffRule
from domain.draft_notices import DUES_BEFORE, MOST_DAYS, Stored, StoredInstalment, agreed, may_be_told, to_notify, window
from domain.drafting import Authorization, Prospect, Source, decide_draft, ends, following, preview
from domain.errors import InvalidTerms, Refusal
from domain.events import ChargedFee, Disbursed, Event, EventBody, FeeCharged, PaymentReceived
from domain.loan import SETTLED, LoanState, LoanStatus
from domain.plan import contract
from domain.program import ExtraMoney, Frequency, InterestMethod, LateFee, LateFeeKind, Program
from domain.terms import LoanTerms
from infra.calendar import bank_holidays
from tests.properties.budget import examples
from tests.properties.programs import terms as any_terms

HOLIDAYS = bank_holidays()
OWN = UUID(int=1)
SOURCE = Source(UUID(int=9), None)
ONE_DAY = timedelta(days=1)


@dataclass(slots=True)
class Case:
    """A loan on a date, as it is known, and its autopay, which has drafted until then."""

    loan: Prospect
    own: Authorization
    today: date
    before: int
    stored: LoanState

    def next_amount(self) -> int:
        return sum(draft.amount for draft in preview(self.loan, [self.own], OWN, self.today, HOLIDAYS, 1).drafts)

    def is_told(self, notified: Mapping[date, int]) -> bool | None:
        """Whether there is a notice to send; None where nothing is drafted in the window."""
        drafts = preview(self.loan, [self.own], OWN, self.today, HOLIDAYS, MOST_DAYS + 1).drafts
        first, last = window(self.today)
        if not any(draft.amount and first <= draft.process_date <= last for draft in drafts):
            return None
        return to_notify(drafts, self.before, self.today, notified) is not None

    def may_be_told(self, notified: Mapping[date, int]) -> bool:
        assert self.own.next_process_date is not None
        rows = self.stored.instalments
        stored = Stored(
            cadence=self.own.cadence,
            amounts=self.own.amounts,
            on_process_date=self.own.on_process_date,
            next_process_date=self.own.next_process_date,
            before=self.before,
            told=notified,
            status=self.stored.status,
            program=self.loan.terms.program,
            payoff=self.stored.principal_balance + self.stored.accrued_interest - self.stored.unapplied,
            other_money=bool(self.stored.fees_balance or self.stored.unapplied or self.stored.due_from_borrower),
            unusual=False,
            instalments=coming(self.stored, self.today),
            last_number=max(row.number for row in rows),
        )
        return may_be_told(stored, self.today, HOLIDAYS)


def coming(state: LoanState, today: date) -> list[StoredInstalment]:
    """The instalments that are looked at, as the query of them says."""
    _, last = window(today)
    until = min((row.due_date for row in state.instalments if row.due_date >= last), default=last)
    return [
        StoredInstalment(
            row.number,
            row.due_date,
            row.principal,
            row.payment + row.fees,
            row.unpaid + row.fees - row.fees_paid,
            row.status in SETTLED,
        )
        for row in state.instalments
        if row.due_date <= until and (row.status not in SETTLED or row.due_date >= today - DUES_BEFORE)
    ]


@st.composite
def likely_terms(draw: st.DrawFn, method: InterestMethod) -> LoanTerms:
    """A loan of the common kind."""
    frequency = draw(st.sampled_from([Frequency.MONTHLY, Frequency.WEEKLY, Frequency.BIWEEKLY]))
    program = Program(
        interest_method=method,
        frequency=frequency,
        extra_money=draw(st.sampled_from(ExtraMoney)),
        instalment_fee=draw(st.sampled_from([0, 0, 250])),
        grace_days=draw(st.sampled_from([0, 2, 10])),
        late_fee=LateFee(LateFeeKind.FLAT, flat=draw(st.sampled_from([0, 1500]))),
    )
    start = date(2020, 1, 1) + timedelta(days=draw(st.integers(0, 400)))
    periods, first = draw(st.integers(6, 40)), start + timedelta(days=draw(st.integers(5, 45)))
    drawn = LoanTerms(program, 1_000_000, Fraction(draw(st.sampled_from([0, 450, 2400])), 10_000), periods, start, first)
    try:
        contract(drawn)
    except InvalidTerms:
        assume(False)
    return drawn


@st.composite
def autopays(draw: st.DrawFn, start: date, level: int) -> Authorization:
    frequency = draw(st.sampled_from([DraftFrequency.DUE_DATES, DraftFrequency.DUE_DATES, *DraftFrequency]))
    begin = start + timedelta(days=draw(st.integers(0, 60)))
    offsets = sorted(draw(st.sets(st.integers(0, 200), min_size=1, max_size=20)))
    dates = tuple(begin + timedelta(days=offset) for offset in offsets) if frequency is DraftFrequency.CUSTOM else ()
    follows = frequency is DraftFrequency.DUE_DATES
    cadence = Cadence(
        frequency,
        begin,
        end=draw(st.none() | st.none() | st.integers(30, 300).map(lambda days: begin + timedelta(days=days))),
        dates=dates,
        anchor=DateAnchor.APPLY_DATE if follows else draw(st.sampled_from(DateAnchor)),
        scheduling=draw(st.sampled_from(Scheduling)),
        days_after=draw(st.sampled_from([0, 0, 0, 1, 3, 15])),
    )
    if cadence.end is None and draw(st.booleans()):
        cadence = replace(cadence, periods=draw(st.integers(1, 20)))
    kinds = [AmountType.NEXT_DUE, AmountType.NEXT_DUE, AmountType.NEXT_PERIOD, AmountType.STATIC, *AmountType]
    kind = draw(st.sampled_from(kinds))
    fixed = kind is AmountType.STATIC
    amounts = AmountTerms(
        kind,
        draw(st.sampled_from([level, level, 100_00, 3 * level])) or 1 if fixed else None,
        draw(st.sampled_from(PayoffRule)),
        when_nothing_due=draw(st.booleans()) if fixed else True,
    )
    extra = draw(st.none() | st.sampled_from(ExtraMoney))
    return Authorization(OWN, cadence, amounts, (SOURCE,), None, on_process_date=draw(st.booleans()), extra=extra)


@st.composite
def cases(draw: st.DrawFn, method: InterestMethod) -> Case | None:
    """None where what was drawn is no case: it drafts nothing any more, or cannot be."""
    terms = draw(likely_terms(method) | any_terms(method))
    start = terms.contract_date
    fresh = Prospect(terms, (Event(1, start, Disbursed(terms.principal)),)).state(start)
    dues, level = [row.due_date for row in fresh.instalments], fresh.instalments[0].payment
    likely = Authorization(OWN, Cadence(DraftFrequency.DUE_DATES, start), AmountTerms(AmountType.NEXT_DUE), (SOURCE,), None)
    own = draw(st.just(likely) | autopays(start, level))
    periods = takewhile(lambda one: one.process_date <= dues[-1], occurrences(own.cadence, dues, HOLIDAYS))
    goes_out = [one.process_date for one in periods]
    today = draw(st.sampled_from(goes_out or [start])) - timedelta(days=draw(st.integers(9, 15)))
    if today <= start:
        return None
    happened: list[tuple[date, EventBody]] = []
    for number in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        on = start + timedelta(days=draw(st.integers(1, max(1, (today - start).days - 1))))
        amount = draw(st.sampled_from([level, level // 2, 2 * level, 10 * level, 1])) or 1
        fee = FeeCharged(f"f{number}", ChargedFee.OTHER, draw(st.sampled_from([1500, level])) or 1)
        rate = RateChanged(terms.annual_rate / 2, None, draw(st.booleans()))
        others = [fee, rate, Extended(3, draw(st.booleans())), Deferred(1, draw(st.booleans()), draw(st.booleans()))]
        happened.append((on, draw(st.sampled_from([PaymentReceived(amount, f"p{number}"), *others]))))
    bodies = [(start, Disbursed(terms.principal)), *happened]
    loan = Prospect(terms, tuple(Event(n, on, body) for n, (on, body) in enumerate(bodies, 1) if on < today or n == 1))
    skips = draw(st.sets(st.integers(0, 30), max_size=2))
    try:
        case = lived(loan, own, today, level, skips, as_of=today - draw(st.sampled_from([ONE_DAY, 0 * ONE_DAY])))
    except Refusal:
        return None
    changed = draw(st.sampled_from([None] * 9 + [AmountType.NEXT_DUE]))
    if case is not None and changed is not None:
        case.own = replace(case.own, amounts=AmountTerms(changed))
    return case


def lived(loan: Prospect, own: Authorization, today: date, level: int, skips: set[int], as_of: date) -> Case | None:
    """The drafts before `today` go out, but for those that are skipped."""
    begun, before = own.cadence.start, agreed(own.amounts, level)
    number = 0
    upcoming = following(own, loan.state(begun), begun, HOLIDAYS)
    while upcoming is not None and upcoming.process_date < today:
        on = upcoming.process_date
        if number not in skips:
            draft = decide_draft(loan, own, on, on, HOLIDAYS)
            before = draft.amount or before
            loan = loan.with_draft(draft)
        number += 1
        upcoming = following(own, loan.state(on), on + ONE_DAY, HOLIDAYS)
    if upcoming is not None and number in skips:
        upcoming = following(own, loan.state(today), upcoming.process_date + ONE_DAY, HOLIDAYS)
    if upcoming is None or ends(LoanStatus.ACTIVE, upcoming.process_date, own.cadence.end) is not None:
        return None
    own = replace(own, next_process_date=upcoming.process_date)
    return Case(Prospect(loan.terms, loan.events), own, today, before, loan.state(as_of))


@pytest.mark.parametrize("method", InterestMethod)
def test_whoever_a_replay_would_tell_is_a_candidate(method: InterestMethod) -> None:
    tried: Counter[tuple[bool | None, bool]] = Counter()

    @examples(0.5)
    @given(cases(method), st.none() | st.sampled_from([0, 1]))
    def look(case: Case | None, off: int | None) -> None:
        if case is None:
            return
        assert case.own.next_process_date is not None
        try:
            notified = {} if off is None else {case.own.next_process_date: case.next_amount() + off}
            told = case.is_told(notified)
        except Refusal:
            return
        candidate = case.may_be_told(notified)
        tried[told, candidate] += 1
        assert candidate or not told

    look()
    assert tried[True, True]
    assert tried[False, False]
