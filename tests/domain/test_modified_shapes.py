"""Modifications of a running loan, interest method `scheduled`: loans with interest-only instalments, a balloon, or
money paid ahead from the end.

The loan of the tables is that of tests/domain/modifying.py. Amounts in cents.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.changes import Deferred, Extended, RateChanged, ReAged, ReAmortized
from domain.errors import WrongState
from domain.events import Disbursed, Event, PaymentReceived
from domain.loan import InstalmentStatus
from domain.program import AdvanceOrder, ExtraMoney, InterestMethod, Program
from domain.replay import replay
from tests.domain.modifying import LEFT, LEVEL, ON, PAID, SIX, TERMS, day, payments, state, table


class TestShapedLoans:
    def test_a_curtailment_of_an_interest_only_loan_lowers_its_interest_payments(self) -> None:
        terms = replace(TERMS, interest_only_periods=3)
        loan = state(paid=((day(1, 15), 12_000 + 200_000),), on=day(1, 15), terms=terms)
        assert table(loan, 1, 3) == [(1, day(2), 0, 12_000), (2, day(3), 0, 10_000), (3, day(4), 0, 10_000)]
        # the payment stays: 12,000.00 x 0.01 / (1 - 1.01 ** -9) = 1,400.88
        assert payments(loan, 4)[0] == 140_088

    def test_a_curtailment_of_a_balloon_loan_lowers_the_balloon(self) -> None:
        terms = replace(TERMS, balloon=600_000)
        before, loan = (state(paid=paid, on=day(1, 15), terms=terms) for paid in ((), ((day(1, 15), 200_000),)))
        level = before.instalments[0].payment
        assert payments(loan, 2)[:-1] == [level] * 10
        assert payments(before)[-1] > payments(loan)[-1] > level

    def test_deferring_an_interest_only_instalment_moves_its_interest(self) -> None:
        terms = replace(TERMS, interest_only_periods=3)
        loan = state((day(1, 15), Deferred(1, accrue=True, to_end=True)), paid=(), on=day(1, 15), terms=terms)
        assert table(loan, 1, 3) == [(1, day(2), 0, 0), (2, day(3), 0, 24_000), (3, day(4), 0, 12_000)]

    def test_re_amortizing_a_balloon_loan_keeps_the_balloon(self) -> None:
        terms = replace(TERMS, balloon=600_000)
        before = state(paid=(), on=day(1, 15), terms=terms)
        assert payments(state((day(1, 15), ReAmortized(None)), paid=(), on=day(1, 15), terms=terms)) == payments(before)


class TestAdvanceFromTheEnd:
    TERMS = replace(TERMS, program=Program(extra_money=ExtraMoney.ADVANCE_DUE, advance_order=AdvanceOrder.LAST))

    def test_money_beyond_the_current_instalment_fills_the_last_one_first(self) -> None:
        loan = state(paid=(*PAID, (day(3, 5), LEVEL + 150_000)), terms=self.TERMS)
        paid = {row.number: row.principal_paid + row.interest_paid for row in loan.instalments if row.number > 3}
        assert (paid[12], paid[11]) == (106_614, 150_000 - 106_614)
        assert sum(paid.values()) == 150_000
        assert loan.next_due_date == day(5)

    def test_unearned_interest_of_the_last_one_comes_back_at_a_payoff(self) -> None:
        loan = state(paid=(*PAID, (day(3, 5), LEVEL + 150_000)), terms=self.TERMS)
        assert loan.payoff is not None
        # 10,098.16 + 29.32 earned by the 10th - 2,566.19 paid
        assert loan.payoff.total == LEFT + 2932 - LEVEL - 150_000

    def test_a_modification_leaves_what_is_paid_at_the_end(self) -> None:
        paid = (*PAID, (day(3, 5), LEVEL + 106_614))
        loan = state((ON, RateChanged(SIX, None, keep_payment=False)), paid=paid, terms=self.TERMS)
        last = loan.instalments[-1]
        assert (last.status, last.principal, last.interest) == (InstalmentStatus.PAID, 105_558, 1056)
        assert len(set(payments(loan, 4)[:-2])) == 1

    def test_past_due_principal_needs_an_instalment_that_is_not_paid_to_be_re_aged(self) -> None:
        """Everything is paid ahead from the end but the third instalment and a part of the fourth, both past due in May."""
        ahead, on = ((day(2), LEVEL), (day(2, 2), LEVEL * 11 - 200_000)), day(5, 10)
        loan = state(paid=ahead, on=on, terms=self.TERMS)
        assert [row.number for row in loan.instalments if row.status is InstalmentStatus.PAST_DUE] == [3, 4]
        with pytest.raises(WrongState) as refused:
            state((on, ReAged()), paid=ahead, on=on, terms=self.TERMS)
        assert refused.value.allowed == ("extend",)
        loan = state((on, Extended(2, reamortize=False)), (on, ReAged()), paid=ahead, on=on, terms=self.TERMS)
        assert (loan.days_past_due, loan.next_due_date) == (0, day(2, 1, 2025))

    def test_a_payment_may_say_otherwise(self) -> None:
        events = [
            Event(1, TERMS.contract_date, Disbursed(TERMS.principal)),
            Event(2, day(1, 5), PaymentReceived(2 * LEVEL, "p1", AdvanceOrder.NEXT)),
        ]
        loan = replay(self.TERMS, events, day(1, 5)).state
        assert [row.number for row in loan.instalments if row.status is InstalmentStatus.PAID] == [1, 2]


@pytest.mark.parametrize("method", list(InterestMethod))
def test_a_term_cut_short_within_the_interest_only_instalments_can_be_extended(method: InterestMethod) -> None:
    terms = replace(TERMS, program=Program(interest_method=method), interest_only_periods=3)
    made = ((day(1, 5), ReAmortized(1)), (day(1, 6), Extended(4, reamortize=True)))
    loan = state(*made, paid=(), on=day(1, 6), terms=terms)
    assert sum(row.principal for row in loan.instalments) == TERMS.principal
    assert [row.number for row in loan.instalments] == [1, 2, 3, 4, 5]
