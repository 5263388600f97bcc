"""Simulations: what plans do, day by day, and that it is what recording the same gives. Amounts in cents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.changes import RateChanged
from domain.errors import InvalidInput, WrongState
from domain.events import FORMS_BY_BODY, ChargedFee, Event, EventKind, FeeCharged, PaymentReceived, Waived, WaiverTarget
from domain.loan import LoanStatus
from domain.program import ExtraMoney, Frequency, InterestMethod, LateFee, LateFeeKind, Program
from domain.replay import replay
from domain.simulation import (
    MAX_PAYMENTS,
    MAX_PLANS,
    Act,
    PayAsDue,
    PayOff,
    PayOnce,
    PayRegularly,
    Plan,
    Simulation,
    Skip,
    simulate,
)
from domain.terms import LoanTerms
from tests.domain.loans import EXAMPLE, LEVEL, events, under
from tests.properties.budget import tries

TODAY = date(2020, 9, 9)
FIRST = date(2020, 10, 9)
FINAL = date(2023, 9, 9)


def run(*plans: Plan, until: date | None = None, terms: LoanTerms = EXAMPLE, today: date = TODAY) -> Simulation:
    return simulate(terms, events(terms=terms), today, plans, until)


def paid(found: Simulation) -> list[tuple[date, int]]:
    return [(day.on, payment.amount) for day in found.days for payment in day.payments]


class TestPlans:
    def test_paying_as_due_follows_the_schedule_to_its_end(self) -> None:
        found = run(PayAsDue())
        assert len(found.days) == 36
        assert paid(found)[0] == (FIRST, LEVEL)
        assert paid(found)[-1] == (FINAL, 29_686)
        assert found.outcome == found.baseline
        assert (found.outcome.paid_off_on, found.outcome.interest_paid, found.outcome.total_paid) == (
            FINAL,
            70_831,
            1_070_831,
        )

    def test_skipped_due_dates_are_made_up_for_on_the_next_one(self) -> None:
        found = run(PayAsDue(), Skip(2), until=date(2020, 12, 9))
        assert paid(found) == [(date(2020, 12, 9), 3 * LEVEL + 2 * 30_00)]
        assert [day.state.days_past_due for day in found.days] == [0, 31, 0]
        assert [fee.key for day in found.days for fee in day.fees] == ["late_fee:2020-10-09", "late_fee:2020-11-09"]

    def test_or_are_not_made_up_for(self) -> None:
        found = run(PayAsDue(catch_up=False), Skip(1), until=date(2020, 12, 9))
        assert paid(found) == [(date(2020, 11, 9), LEVEL), (date(2020, 12, 9), LEVEL)]
        assert found.days[-1].state.days_past_due == 61 - 31

    def test_skipping_can_wait(self) -> None:
        found = run(PayAsDue(), Skip(1, since=date(2020, 11, 1)), until=date(2020, 12, 9))
        assert [on for on, _ in paid(found)] == [FIRST, date(2020, 12, 9)]

    def test_more_each_month_pays_off_earlier_and_saves_interest(self) -> None:
        found = run(PayRegularly(400_00, FIRST))
        assert all(amount == 400_00 for _, amount in paid(found)[:-1])
        assert paid(found)[-1][1] < 400_00
        assert found.outcome.paid_off_on is not None
        assert found.outcome.paid_off_on < FINAL
        assert found.outcome.interest_paid < found.baseline.interest_paid

    def test_a_number_of_payments_and_a_last_day(self) -> None:
        assert len(paid(run(PayRegularly(50_00, FIRST, Frequency.WEEKLY, count=5)))) == 5
        until = PayRegularly(50_00, FIRST, Frequency.WEEKLY, until=FIRST + timedelta(days=20))
        assert [on for on, _ in paid(run(until))] == [FIRST + timedelta(days=7 * n) for n in range(3)]

    def test_an_extra_payment_comes_on_top(self) -> None:
        found = run(PayAsDue(), PayOnce(500_00, date(2020, 11, 1)), until=date(2020, 11, 9))
        assert paid(found) == [(FIRST, LEVEL), (date(2020, 11, 1), 500_00)]
        assert found.days[1].due == 0

    def test_paying_off_on_a_day(self) -> None:
        found = run(PayOff(date(2020, 9, 19)))
        assert paid(found) == [(date(2020, 9, 19), 1_000_000 + 1233)]
        assert (found.outcome.paid_off_on, found.outcome.status) == (date(2020, 9, 19), LoanStatus.PAID_OFF)

    def test_any_other_event_happens_on_its_day(self) -> None:
        found = run(Act(RateChanged(Fraction(0), None, keep_payment=False), FIRST), PayAsDue())
        assert found.days[0].events == (EventKind.RATE_CHANGED,)
        assert found.outcome.interest_paid == 3699

    def test_a_fee_stands_before_the_money_of_its_day(self) -> None:
        fee = FeeCharged("f", ChargedFee.OTHER, 25_00)
        (day,) = run(PayOnce(100_00, TODAY), Act(fee, TODAY), until=TODAY).days
        assert (day.payments[0].fees, day.state.fees_balance) == (25_00, 0)

    def test_also_when_that_money_has_come_already(self) -> None:
        fee, paid = FeeCharged("f", ChargedFee.OTHER, 25_00), events((TODAY, 100_00))
        (day,) = simulate(EXAMPLE, paid, TODAY, [Act(fee, TODAY)], TODAY).days
        assert day.state == replace(replay(EXAMPLE, [*paid, Event(3, TODAY, fee)], TODAY).state, instalments=())
        assert day.state.fees_balance == 0

    def test_a_loan_that_unapplied_money_pays_off_on_a_due_date_is_paid_nothing_then(self) -> None:
        terms = replace(under(extra_money=ExtraMoney.UNAPPLIED), periods=2)
        history = events((TODAY, 600_000), (TODAY, 410_000), terms=terms)
        found = simulate(terms, history, TODAY, [PayAsDue()])
        assert (found.outcome.status, found.outcome.payments) == (LoanStatus.PAID_OFF, 0)

    def test_without_plans_the_loan_is_seen_to_its_last_due_date(self) -> None:
        found = run()
        assert (found.outcome.through, found.outcome.paid_off_on, found.outcome.payments) == (FINAL, None, 0)
        assert found.days[-1].state.principal_balance == 1_000_000

    def test_it_ends_where_it_is_told_to(self) -> None:
        found = run(PayAsDue(), until=date(2020, 10, 20))
        assert [day.on for day in found.days] == [FIRST, date(2020, 10, 20)]
        assert found.outcome.through == date(2020, 10, 20)

    def test_what_is_due_today_can_be_paid_today(self) -> None:
        assert paid(run(PayAsDue(), until=FIRST, today=FIRST)) == [(FIRST, LEVEL)]


# the plans, and where the refusal points
REFUSED: list[tuple[str, Sequence[Plan], date | None, str]] = [
    ("yesterday", [PayOnce(1, TODAY - timedelta(days=1))], None, "/events/0/date"),
    ("too far ahead", [PayAsDue(), PayOff(date(2081, 1, 1))], None, "/events/1/date"),
    ("an end in the past", [PayAsDue()], TODAY - timedelta(days=1), "/until"),
    ("an end too far ahead", [PayAsDue()], date(2081, 1, 1), "/until"),
    ("two ends", [PayRegularly(1, FIRST, count=2, until=FINAL)], None, "/events/0/until"),
    ("too many payments", [PayRegularly(1, FIRST, count=MAX_PAYMENTS + 1)], None, "/events/0/count"),
    ("a single one again and again", [PayRegularly(1, FIRST, Frequency.SINGLE)], None, "/events/0/frequency"),
    ("never done", [Skip(1), PayRegularly(1, TODAY, Frequency.WEEKLY)], None, "/events/1"),
    ("too many plans", [PayAsDue()] * (MAX_PLANS + 1), None, "/events"),
    ("a rate change that ends first", [Act(RateChanged(Fraction(0), TODAY, False), FIRST)], None, "/events/0/until"),
]


@pytest.mark.parametrize(("name", "plans", "until", "pointer"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_planned_is_refused(name: str, plans: Sequence[Plan], until: date | None, pointer: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        run(*plans, until=until)
    assert [error.pointer for error in refusal.value.errors] == [pointer]


def test_only_an_active_loan_is_simulated() -> None:
    with pytest.raises(WrongState, match="paid_off"):
        simulate(EXAMPLE, events((TODAY, 1_000_000)), TODAY, [PayAsDue()])


plans = st.lists(
    st.one_of(
        st.builds(PayAsDue, since=st.none(), until=st.none(), catch_up=st.booleans()),
        st.builds(Skip, count=st.integers(1, 3), since=st.none()),
        st.builds(
            PayRegularly,
            amount=st.integers(1, 60_000),
            first=st.dates(TODAY, date(2021, 6, 1)),
            frequency=st.sampled_from([Frequency.MONTHLY, Frequency.BIWEEKLY]),
            count=st.integers(1, 8),
        ),
        st.builds(PayOnce, amount=st.integers(1, 200_000), on=st.dates(TODAY, date(2021, 12, 1))),
        st.builds(PayOff, on=st.dates(TODAY, date(2022, 6, 1))),
    ),
    max_size=4,
)


acts = st.lists(
    st.builds(
        Act,
        st.sampled_from(
            [
                RateChanged(Fraction(9, 100), None, keep_payment=True),
                FeeCharged("f", ChargedFee.OTHER, 25_00),
                Waived("w", WaiverTarget.INTEREST, None, 1),
            ]
        ),
        st.dates(TODAY, date(2022, 6, 1)),
    ),
    max_size=3,
    unique_by=lambda act: type(act.body),
)


@st.composite
def programs(draw: st.DrawFn, method: InterestMethod) -> Program:
    return replace(
        EXAMPLE.program,
        interest_method=method,
        extra_money=draw(st.sampled_from(ExtraMoney)),
        past_due_interest=draw(st.booleans()),
        instalment_fee=draw(st.sampled_from([0, 250])),
        grace_days=draw(st.integers(0, 40)),
        late_fee=LateFee(LateFeeKind.PERCENT, percent=Fraction(1, 3)),
        delinquency_tolerance=draw(st.sampled_from([0, 100])),
    )


@pytest.mark.parametrize("method", InterestMethod)
@tries(20)
@given(
    st.data(), acts, plans, st.lists(st.tuples(st.dates(EXAMPLE.contract_date, TODAY), st.integers(1, 900_000)), max_size=3)
)
def test_recording_the_same_gives_the_very_rows(
    method: InterestMethod, data: st.DataObject, acting: list[Act], planned: list[Plan], before: list[tuple[date, int]]
) -> None:
    terms = replace(EXAMPLE, program=data.draw(programs(method)), periods=data.draw(st.integers(4, 36)))
    today = data.draw(st.dates(TODAY, date(2021, 3, 1)))
    history = events(*before, terms=terms)
    assume(replay(terms, history, today).state.status is LoanStatus.ACTIVE)
    latest = [_later(plan, today) for plan in (*acting, *planned)]
    found = simulate(terms, history, today, latest, date(2022, 9, 9))
    to_come = sorted(
        (plan for plan in latest if isinstance(plan, Act)), key=lambda plan: FORMS_BY_BODY[type(plan.body)].rank
    )
    for day in found.days:
        bodies = [act.body for act in to_come if act.on == day.on][: len(day.events)]
        received = [PaymentReceived(payment.amount, payment.payment_id) for payment in day.payments]
        history += [Event(n, day.on, body) for n, body in enumerate([*bodies, *received], len(history) + 1)]
    for day in found.days:
        result = replay(terms, history, day.on)
        assert replace(result.state, instalments=()) == day.state
        assert tuple(result.allocations[payment.payment_id] for payment in day.payments) == day.payments
    assert found.outcome.total_paid == sum(payment.amount for day in found.days for payment in day.payments)


def _later(plan: Plan, today: date) -> Plan:
    """The plan, with nothing of it before `today`."""
    match plan:
        case PayRegularly():
            return replace(plan, first=max(plan.first, today))
        case PayOnce() | PayOff() | Act():
            return replace(plan, on=max(plan.on, today))
        case _:
            return plan
