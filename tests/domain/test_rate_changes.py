"""Modifications of a running loan, interest method `scheduled`: another rate, for good or for a while.

The loan of the tables is that of tests/domain/modifying.py. Amounts in cents.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from domain.changes import RateChanged
from domain.errors import InvalidInput
from domain.events import event_from_dict, event_to_dict
from domain.loan import LoanStatus
from domain.program import PayoffInterest, Program
from tests.domain.modifying import LEFT, LEVEL, ON, PAID, SIX, TERMS, day, payments, run, state, table


class TestRateChange:
    def test_the_period_of_the_change_bears_both_rates_by_their_days(self) -> None:
        loan = state((ON, RateChanged(SIX, None, keep_payment=True)))
        # 1 to 10 March 9 days at 12 %, 22 days at 6 %: 10,098.16 x (9 x 0.12 + 22 x 0.06) / 31 / 12 = 65.15
        # then 9,097.12 x 0.06 / 12 = 45.49
        assert table(loan, 3, 4) == [(3, day(4), LEVEL - 6515, 6515), (4, day(5), LEVEL - 4549, 4549)]
        assert payments(loan)[:9] == [LEVEL] * 9
        assert loan.accrued_interest == 2932

    @pytest.mark.parametrize(
        ("on", "accrued"),
        [
            (day(3, 10), 2932),  # 9 x 0.12 of 2.40 (= 9 x 0.12 + 22 x 0.06) x 65.15 = 29.32
            (day(3, 11), 3095),  # + 0.06 of 2.40 x 65.15 = 1.62875: 30.9463
            (day(3, 31), 6352),  # (1.08 + 21 x 0.06) of 2.40 x 65.15 = 63.5213
            (day(4, 1), 6515),
        ],
    )
    def test_interest_accrues_by_the_rate_of_each_day(self, on: date, accrued: int) -> None:
        assert state((ON, RateChanged(SIX, None, keep_payment=True)), on=on).accrued_interest == accrued

    def test_without_keeping_the_payment_the_rest_is_amortized_anew(self) -> None:
        loan = state((ON, RateChanged(SIX, None, keep_payment=False)))
        # 10,098.16 x 1.0064516 = 10,163.31 = payment x (1 + (1 - 1.005 ** -9) / 0.005 = 9.7790645): 1,039.29
        assert payments(loan) == [103_929] * 9 + [103_932]
        assert table(loan, 3, 3) == [(3, day(4), 103_929 - 6515, 6515)]

    def test_a_reduction_for_a_while_lowers_the_payment_for_that_while(self) -> None:
        """The payment is the one of the rate for good; from the first instalment after it on, what is left is amortized
        anew at the former rate."""
        loan = state((ON, RateChanged(SIX, day(6, 16), keep_payment=False)))
        assert payments(loan)[:4] == [103_929, 103_929, 103_929, 105_735]
        # after 1 June 7,131.71 are left; June: 15 days at 6 %, 15 at 12 %: 7,131.71 x 0.09 / 12 = 53.49
        assert table(loan, 6, 7) == [(6, day(7), 105_735 - 5349, 5349), (7, day(8), 105_735 - 6128, 6128)]
        assert payments(loan)[-1] == 105_736

    @pytest.mark.parametrize("until", [day(12, 31), day(1, 1, 2025), day(1, 2, 2025)])
    def test_a_reduction_that_lasts_to_the_end_has_one_payment(self, until: date) -> None:
        assert len(set(payments(state((ON, RateChanged(SIX, until, keep_payment=False))))[:-1])) == 1

    def test_interest_paid_of_the_last_instalment_stays_when_the_rate_falls(self) -> None:
        """December's 10.56 are paid on the 2nd; without interest from then on 0.34 of it were borne."""
        on = day(12, 2)
        paid = (*((day(n), LEVEL) for n in range(2, 13)), (on, 5000))
        last = state((on, RateChanged(Fraction(0), None, keep_payment=True)), paid=paid, on=on).instalments[-1]
        assert (last.interest, last.interest_paid, last.principal_paid) == (1056, 1056, 5000 - 1056)

    def test_a_capped_rate_leaves_the_reason_with_the_event(self) -> None:
        body = RateChanged(SIX, day(12), keep_payment=True, reason="SCRA, 50 USC 3937")
        assert event_from_dict("rate_changed", event_to_dict(body)) == body
        loan = state((ON, body), on=day(12, 31), paid=(*PAID, *((day(n), LEVEL) for n in range(4, 13))))
        # the last period, from 1 December, bears 12 % again
        last = loan.instalments[-1]
        assert last.interest == round(last.principal * Fraction(12, 1200))

    @pytest.mark.parametrize("keep_payment", [True, False])
    def test_a_servicemember_s_loan_bears_no_more_than_six_percent(self, keep_payment: bool) -> None:
        """50 USC 3937 (a)(1): 12 % becomes 6 %, and what is less stays as it is, payment and all."""
        service = RateChanged(SIX, day(6, 16), keep_payment, "active duty", cap=True)
        plain = replace(service, cap=None)
        assert state((ON, service)) == state((ON, plain))
        at_four = replace(TERMS, annual_rate=Fraction(4, 100))
        # 2,000.00 more than is due: amortized anew, the payment would fall
        paid = ((day(1, 15), 200_000), *((when, 110_000) for when, _ in PAID))
        assert state((ON, service), terms=at_four, paid=paid) == state(terms=at_four, paid=paid)
        assert state((ON, plain), terms=at_four, paid=paid) != state(terms=at_four, paid=paid)

    def test_a_rate_agreed_within_a_cap_counts_after_it(self) -> None:
        cap = RateChanged(SIX, day(5), keep_payment=True, cap=True)
        raised = RateChanged(Fraction(15, 100), None, keep_payment=True)
        loan = state((ON, cap), (day(3, 20), raised), on=day(3, 20))
        # April bears 6 % still, May 15 %
        april, may = table(loan, 4, 5)
        balance = 1_200_000 - sum(row.principal for row in loan.instalments[:3])
        assert april[3] == round(balance * Fraction(6, 1200))
        assert may[3] == round((balance - april[2]) * Fraction(15, 1200))

    def test_the_same_rate_changes_nothing(self) -> None:
        unchanged, changed = state(), state((ON, RateChanged(TERMS.annual_rate, None, keep_payment=True)))
        assert changed == unchanged

    def test_a_change_on_a_due_date_leaves_the_instalment_due_that_day(self) -> None:
        loan = state((day(4), RateChanged(SIX, None, keep_payment=True)), on=day(4))
        assert table(loan, 3, 4) == [(3, day(4), 96_521, 10_098), (4, day(5), LEVEL - 4566, 4566)]

    def test_an_instalment_paid_early_stands_and_the_difference_goes_to_the_next(self) -> None:
        """The 100.98 paid for March exceed its 65.15 by 35.83; April's 9,132.95 x 0.06 / 12 = 45.66 are 9.83 then."""
        paid = (*PAID, (day(3, 5), LEVEL))
        loan = state((ON, RateChanged(SIX, None, keep_payment=True)), paid=paid)
        assert table(loan, 3, 4) == [(3, day(4), 96_521, 10_098), (4, day(5), LEVEL - 983, 983)]
        late = state((ON, RateChanged(SIX, None, keep_payment=True)), paid=paid, on=day(5))
        assert late.accrued_interest == 983

    def test_a_payoff_gives_back_what_the_new_rate_left_paid_ahead(self) -> None:
        """35.83 of the 100.98 paid for March come back when the loan is paid off on 1 April: 9,132.95 - 35.83."""
        paid = (*PAID, (day(3, 5), LEVEL), (day(4), 913_295 - 3583))
        loan = state((ON, RateChanged(SIX, None, keep_payment=True)), paid=paid, on=day(4))
        assert (loan.status, loan.unapplied) == (LoanStatus.PAID_OFF, 0)
        assert [row.interest_paid for row in loan.instalments] == [12_000, 11_054, 6515, *[0] * 9]

    def test_a_payment_recorded_before_is_allocated_by_the_rate_that_is_backdated(self) -> None:
        paid = (*PAID, (day(4), LEVEL))
        changed = run((ON, RateChanged(SIX, None, keep_payment=True)), paid=paid, on=day(4))
        assert changed.allocations["p3"].interest == 6515
        assert run(paid=paid, on=day(4)).allocations["p3"].interest == 10_098

    def test_a_per_diem_payoff_counts_each_day_at_its_rate(self) -> None:
        terms = replace(TERMS, program=Program(payoff_interest=PayoffInterest.PER_DIEM))
        loan = state((ON, RateChanged(SIX, None, keep_payment=True)), on=day(3, 20), terms=terms)
        assert loan.payoff is not None
        # 10,098.16 x (9 x 0.12 + 10 x 0.06) / 365 = 46.48
        assert (loan.payoff.interest, loan.payoff.per_diem) == (4648, LEFT * SIX / 365)

    def test_it_is_refused_where_the_payment_would_not_cover_the_interest(self) -> None:
        """12,000.00 over 120 months pay 172.17 a month; 18 % of it are 180.00."""
        terms = replace(TERMS, periods=120)
        with pytest.raises(InvalidInput) as refused:
            state((day(2), RateChanged(Fraction(18, 100), None, keep_payment=True)), paid=(), on=day(2), terms=terms)
        assert refused.value.errors[0].pointer == "/keep_payment"
        assert refused.value.code == "interest_not_covered"
        assert "172.17" in refused.value.detail
