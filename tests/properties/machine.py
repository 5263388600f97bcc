"""A loan's life as a rule-driven machine: at every step something happens to it, and everything that must hold is checked.

The interest method is the subclass's; each has a test module of its own, so that they run side by side.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from enum import StrEnum, auto
from random import Random
from typing import ClassVar, TypeVar

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.changes import MODIFICATIONS
from domain.errors import Refusal
from domain.events import (
    Boarded,
    Disbursed,
    EventBody,
    FeeCharged,
    NonAccrualSet,
    PaymentReceived,
    PaymentSettled,
    Refunded,
    RefundSent,
    Reimbursed,
    ReimbursementSent,
    UnappliedApplied,
    Waived,
)
from domain.history import Record, check_void
from domain.loan import LoanStatus, state_hash
from domain.plan import contract
from domain.program import AdvanceOrder, ExtraMoney, InterestMethod
from domain.replay import Replay, preview_event
from domain.shortfall import cover_shortfalls
from domain.terms import LoanTerms
from tests.properties import checks, commands
from tests.properties.commands import Act, Amount, Modify, MoneyAct
from tests.properties.life import Change, Life
from tests.properties.programs import terms

Body = TypeVar("Body")


class Refused(StrEnum):
    """What nobody can record, whatever the loan's state."""

    FUTURE = auto()
    BEFORE_THE_LOAN = auto()
    NOTHING = auto()
    SECOND_BEGINNING = auto()
    UNKNOWN_PAYMENT = auto()


amounts = st.sampled_from([Amount.LEVEL, Amount.LEVEL, Amount.DUE, Amount.DUE, *Amount])
parts = st.integers(1, 300)
"""Percent of the level payment."""
days_back = st.sampled_from([0, 0, 0, 0, 0, 1, 2, 5, 10, 15, 31, 45, 70, 120, 400])
which = st.integers(0, 60)
"""Which of several things; counted around."""
flags = st.tuples(st.booleans(), st.booleans())
MOST_MODIFICATIONS = 5
"""Each is made anew in every replay that follows."""
BESIDE_INTEREST = (
    Disbursed,
    PaymentReceived,
    PaymentSettled,
    UnappliedApplied,
    Refunded,
    RefundSent,
    Reimbursed,
    ReimbursementSent,
    FeeCharged,
    Waived,
    NonAccrualSet,
)
"""Events that leave what the principal bears as it is: what they do to interest earned is known from what they settled."""
FULL_EVERY = 5
"""The dear checks are made at every fifth step."""


class LoanMachine(RuleBasedStateMachine):
    method: ClassVar[InterestMethod]

    life: Life

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.names = 0

    def level(self) -> int:
        return contract(self.life.terms).plan.level_payment

    def amount(self, kind: Amount, percent: int) -> int:
        return commands.amount(kind, self.life.result.state, self.level(), percent)

    def day(self, back: int) -> date:
        return max(self.life.opened_on, self.life.today - timedelta(days=back))

    def new_name(self) -> str:
        self.names += 1
        return f"n{self.names}"

    def pick(self, kind: type[Body], number: int) -> Record | None:
        """One of the standing records of a kind."""
        records = [record for record in self.life.standing() if isinstance(record.body, kind)]
        return records[number % len(records)] if records else None

    def picked(self, kind: type[Body], number: int) -> Body | None:
        record = self.pick(kind, number)
        return None if record is None else record.body  # type: ignore[return-value]

    def acts(self) -> list[Record]:
        """The standing records but those of the loan's beginning and of money received."""
        own_ways = (Disbursed, Boarded, PaymentReceived, PaymentSettled)
        return [record for record in self.life.standing() if not isinstance(record.body, own_ways)]

    # beginnings

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        agreed = data.draw(terms(self.method))
        if data.draw(st.integers(0, 4)):
            self.life = Life.begin(agreed, Disbursed(agreed.principal), agreed.contract_date)
        else:
            self.life = self._boarded(data, agreed)

    def _boarded(self, data: st.DataObject, agreed: LoanTerms) -> Life:
        dues = contract(agreed).plan.due_dates
        on = agreed.contract_date + timedelta(days=data.draw(st.integers(0, (dues[-1] - agreed.contract_date).days + 30)))
        body = Boarded(
            status=data.draw(st.sampled_from([LoanStatus.ACTIVE] * 4 + [LoanStatus.CHARGED_OFF])),
            principal=data.draw(st.integers(1, agreed.principal)),
            interest=data.draw(st.integers(0, max(1, agreed.principal // 20))),
            late_fees=data.draw(st.sampled_from([0, 0, 1500])),
            oldest_unpaid_due_date=data.draw(st.sampled_from(dues)),
            level_payment=None,
        )
        try:
            return Life.begin(agreed, body, on)
        except Refusal:
            assume(False)
            raise

    # time

    @rule(days=st.integers(0, 35))
    def days_pass(self, days: int) -> None:
        self.life.pass_days(days)

    @rule(late=st.sampled_from([-1, 0, 0, 1, 11, 40]))
    def the_next_due_date_comes(self, late: int) -> None:
        due = self.life.result.state.next_due_date
        if due is not None:
            self.life.pass_days(max(0, (due - self.life.today).days + late))

    # money

    @rule(
        kind=amounts,
        percent=parts,
        back=days_back,
        advance=st.none() | st.sampled_from(AdvanceOrder),
        extra=st.none() | st.sampled_from(ExtraMoney),
    )
    def pay(self, kind: Amount, percent: int, back: int, advance: AdvanceOrder | None, extra: ExtraMoney | None) -> None:
        self.try_to(PaymentReceived(self.amount(kind, percent), self.new_name(), advance, extra=extra), back)

    @precondition(lambda self: self.life.result.state.status is LoanStatus.ACTIVE)
    @rule()
    def pay_what_is_due(self) -> None:
        amount = self.life.result.state.next_due_amount
        if amount:
            assert self.life.attempt(Change(PaymentReceived(amount, self.new_name()), self.life.today))

    @rule(number=which, back=days_back)
    def settle(self, number: int, back: int) -> None:
        paid = self.picked(PaymentReceived, number)
        if paid is not None:
            self.life.attempt(Change(PaymentSettled(paid.payment_id), self.day(back)))

    @rule(number=which)
    def take_a_payment_back(self, number: int) -> None:
        record = self.pick(PaymentReceived, number)
        if record is not None:
            self.life.attempt(Change(None, self.life.today, record.number))

    @rule(number=which)
    def a_bank_returns_a_payment(self, number: int) -> None:
        """What was done since with money that was unapplied shrinks, or the borrower owes it."""
        record, life = self.pick(PaymentReceived, number), self.life
        if record is None:
            return
        void = Change(None, life.today, record.number)
        at = {each.position: each for each in life.standing()}
        try:
            short = cover_shortfalls(life.terms, life.events_after(void), life.today)
        except Refusal:
            assert not life.attempt(void)
            return
        covered = [Change(body, at[place].effective_date, at[place].number) for place, body in short.items()]
        assert life.attempt(void, *covered)

    @rule(number=which, back=days_back, percent=parts)
    def correct_a_payment(self, number: int, back: int, percent: int) -> None:
        """It was of another day or another amount."""
        record, body = self.pick(PaymentReceived, number), self.picked(PaymentReceived, number)
        if record is not None and body is not None:
            amount = body.amount if percent % 2 else self.amount(Amount.PART, percent)
            self.life.attempt(Change(replace(body, amount=amount), self.day(back), record.number))

    @rule(kind=amounts, percent=parts, back=days_back)
    def pay_and_take_it_back(self, kind: Amount, percent: int, back: int) -> None:
        """A payment and its reversal leave the loan and its books as they were."""
        life = self.life
        before, net = state_hash(life.result.state), life.net.copy()
        change = Change(PaymentReceived(self.amount(kind, percent), self.new_name()), self.day(back))
        if life.attempt(change):
            life.record(Change(None, life.today, len(life.records)))
            assert state_hash(life.result.state) == before
            assert life.net == net

    # what staff do

    @rule(kind=st.sampled_from(Act), number=which, percent=parts, back=days_back)
    def staff_act(self, kind: Act, number: int, percent: int, back: int) -> None:
        self.try_to(commands.act(kind, self.life.result.state, self.new_name(), number, percent), back)

    @rule(kind=st.sampled_from(MoneyAct), number=which, percent=parts, back=days_back)
    def money_act(self, kind: MoneyAct, number: int, percent: int, back: int) -> None:
        body = commands.money_act(
            kind,
            self.life.result.state,
            self.new_name(),
            percent,
            refund=self.picked(Refunded, number),
            reimbursement=self.picked(Reimbursed, number),
            paid=self.picked(PaymentReceived, number),
        )
        self.try_to(body, back)

    @rule(kind=st.sampled_from(Modify), number=st.integers(1, 9), days=st.integers(0, 120), flags=flags, back=days_back)
    def modify(self, kind: Modify, number: int, days: int, flags: tuple[bool, bool], back: int) -> None:
        agreed = sum(isinstance(record.body, MODIFICATIONS) for record in self.life.standing())
        if agreed < MOST_MODIFICATIONS:
            self.try_to(commands.modification(kind, self.life.today, self.level(), number, days, *flags), back)

    def try_to(self, body: EventBody | None, back: int) -> None:
        """Look at what it would do, then do it: it is the same, or refused both times."""
        if body is None:
            return
        life, day = self.life, self.day(back)
        seen: Replay | None
        try:
            seen = preview_event(life.terms, life.events, body, day, life.today)
        except Refusal:
            seen = None
        assert life.attempt(Change(body, day)) == (seen is not None)
        assert seen is None or seen == life.result

    @rule(number=which)
    def an_act_is_taken_back(self, number: int) -> None:
        acts = self.acts()
        if acts:
            record = acts[number % len(acts)]
            check_void(self.life.records, record)
            self.life.attempt(Change(None, self.life.today, record.number))

    @rule(number=which, back=days_back)
    def an_act_was_of_another_day(self, number: int, back: int) -> None:
        acts = self.acts()
        if acts:
            record = acts[number % len(acts)]
            self.life.attempt(Change(record.body, self.day(back), record.number))

    # what is refused

    @rule(refused=st.sampled_from(Refused), days=st.integers(1, 40))
    def what_cannot_be_is_refused(self, refused: Refused, days: int) -> None:
        life, name = self.life, self.new_name()
        match refused:
            case Refused.FUTURE:
                change = Change(PaymentReceived(100, name), life.today + timedelta(days=days))
            case Refused.BEFORE_THE_LOAN:
                change = Change(PaymentReceived(100, name), life.opened_on - timedelta(days=days))
            case Refused.NOTHING:
                change = Change(PaymentReceived(1 - days, name), life.today)
            case Refused.SECOND_BEGINNING:
                change = Change(Disbursed(life.terms.principal), life.today)
            case Refused.UNKNOWN_PAYMENT:
                change = Change(PaymentSettled(name), life.today)
        assert not life.attempt(change)

    # what must hold

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "life"):
            return
        checks.books(self.life)
        checks.money(self.life)
        checks.balances(self.life)
        checks.principal(self.life)
        checks.payments(self.life)
        checks.journal(self.life)
        checks.goes_on(self.life)
        self.check_earned()
        self.steps += 1
        if self.steps % FULL_EVERY == 0:
            checks.mirrors(self.life)
            checks.replays(self.life, Random(self.steps))
            checks.causal(self.life)
            checks.hashed(self.life)
            checks.watched(self.life, Random(self.steps))

    def is_plain(self) -> bool:
        """Whether nothing has happened but what a figure worked out from the principal knows of."""
        return all(isinstance(event.body, BESIDE_INTEREST) for event in self.life.events)

    def check_earned(self) -> None:
        """Interest earned, posted by month, against the figure the subclass works out independently."""
        raise NotImplementedError

    def teardown(self) -> None:
        if hasattr(self, "life"):
            checks.relived(self.life)
