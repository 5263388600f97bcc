"""Whatever happened to a loan, the lines of an explanation add up to its figure, exactly."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from hypothesis import settings
from hypothesis.stateful import invariant

from domain.explain import Figure, explain
from domain.loan import LoanState, LoanStatus
from domain.program import InterestMethod
from tests.properties.budget import histories
from tests.properties.machine import LoanMachine

EVERY = 10
FEWER = 20
"""All figures explained replay the loan some ten times: so it is done at every tenth step of fewer histories."""

_OF: dict[Figure, str] = {
    Figure.PRINCIPAL_BALANCE: "principal_balance",
    Figure.ACCRUED_INTEREST: "accrued_interest",
    Figure.FEES_BALANCE: "fees_balance",
    Figure.UNAPPLIED: "unapplied",
    Figure.PAST_DUE_AMOUNT: "past_due_amount",
    Figure.DAYS_PAST_DUE: "days_past_due",
}


def figure_of(state: LoanState, figure: Figure) -> int:
    if figure is Figure.PAYOFF:
        assert state.payoff is not None
        return state.payoff.total
    amount: int = getattr(state, _OF[figure])
    return amount


class _Explained(LoanMachine):
    method: ClassVar[InterestMethod]

    @invariant()
    def holds(self) -> None:
        self.steps += 1
        if hasattr(self, "life") and self.steps % EVERY == 0:
            self.adds_up()

    def teardown(self) -> None:
        if hasattr(self, "life"):
            self.adds_up()

    def adds_up(self) -> None:
        state = self.life.result.state
        for figure in Figure:
            if figure is Figure.PAYOFF and state.status is not LoanStatus.ACTIVE:
                continue
            found = explain(self.life.terms, self.life.events, self.life.today, figure)
            assert found.amount == figure_of(state, figure)
            assert sum(line.amount for line in found.lines) == found.amount, (figure, found.lines)
            assert all(line.exact is None or line.exact >= Fraction(0) for line in found.lines)


class Scheduled(_Explained):
    method = InterestMethod.SCHEDULED


class SimpleDaily(_Explained):
    method = InterestMethod.SIMPLE_DAILY


class Recalculated(_Explained):
    method = InterestMethod.RECALCULATED


def _fewer() -> settings:
    whole = histories()
    return settings(whole, max_examples=max(1, whole.max_examples // FEWER))


TestScheduled = Scheduled.TestCase
TestScheduled.settings = _fewer()
TestSimpleDaily = SimpleDaily.TestCase
TestSimpleDaily.settings = _fewer()
TestRecalculated = Recalculated.TestCase
TestRecalculated.settings = _fewer()
