"""Modifications of a running loan, interest method `scheduled`: instalments put off or reduced for a while.

The loan of the tables is that of tests/domain/modifying.py. Amounts in cents.
"""

from __future__ import annotations

from dataclasses import replace

from domain.changes import Deferred, Forborne
from domain.loan import InstalmentStatus, LoanStatus
from domain.program import LateFee, LateFeeKind, PayoffInterest, Program
from tests.domain.modifying import LEVEL, ON, PAID, TERMS, day, payments, state, table


class TestDeferment:
    def test_interest_goes_on_and_is_paid_first_by_the_instalments_after_it(self) -> None:
        loan = state((ON, Deferred(2, accrue=True, to_end=True)))
        # three months of 100.98 are paid on 1 June: 10,098.16 x 0.01 each
        assert table(loan, 3, 5) == [(3, day(4), 0, 0), (4, day(5), 0, 0), (5, day(6), LEVEL - 30_294, 30_294)]
        assert [row.number for row in loan.instalments] == list(range(1, 15))
        assert loan.instalments[-1].due_date == day(3, year=2025)
        assert payments(loan, 6)[:-1] == [LEVEL] * 8
        assert [row.status for row in loan.instalments[2:4]] == [InstalmentStatus.DEFERRED] * 2
        assert (loan.next_due_date, loan.next_due_amount) == (day(6), LEVEL)

    def test_without_interest_the_instalments_are_moved_as_they_were(self) -> None:
        """Deferred from the beginning of a period: what was the third instalment is the fifth, and so on."""
        before, loan = state(), state((day(3), Deferred(2, accrue=False, to_end=True)), on=day(3))
        assert [(r.principal, r.interest) for r in loan.instalments[4:]] == [
            (r.principal, r.interest) for r in before.instalments[2:]
        ]
        assert loan.per_diem == 0

    def test_interest_stops_on_the_day_of_the_deferment(self) -> None:
        loan = state((ON, Deferred(2, accrue=False, to_end=True)), on=day(5))
        assert loan.accrued_interest == 2932  # 9 days of March
        # due with the first instalment after it, with May's 10,098.16 x 0.01
        assert table(loan, 5, 5) == [(5, day(6), LEVEL - 13_030, 13_030)]

    def test_or_the_last_instalment_takes_what_was_deferred(self) -> None:
        to_end, kept = (state((ON, Deferred(2, accrue=True, to_end=end))) for end in (True, False))
        assert len(kept.instalments) == 12
        assert table(kept, 3, 11) == table(to_end, 3, 11)
        assert payments(kept)[-1] == 334_998 + 3350

    def test_what_was_paid_of_a_deferred_instalment_stays_with_it(self) -> None:
        loan = state((ON, Deferred(1, accrue=True, to_end=True)), paid=(*PAID, (day(3, 5), 50_000)))
        third, fourth = loan.instalments[2:4]
        assert (third.principal, third.principal_paid, third.interest, third.interest_paid) == (
            39_902,
            39_902,
            10_098,
            10_098,
        )
        assert third.status is InstalmentStatus.DEFERRED
        assert fourth.interest == 9699  # (10,098.16 - 399.02) x 0.01

    def test_a_deferred_instalment_is_never_late(self) -> None:
        terms = replace(TERMS, program=Program(grace_days=10, late_fee=LateFee(LateFeeKind.FLAT, flat=3000)))
        missed = state(on=day(5, 31), terms=terms)
        assert (missed.days_past_due, missed.fees_balance) == (60, 6000)
        loan = state((day(3, 31), Deferred(2, accrue=True, to_end=True)), on=day(5, 31), terms=terms)
        assert (loan.days_past_due, loan.past_due_amount, loan.fees_balance) == (0, 0, 0)

    def test_a_deferred_instalment_bears_no_instalment_fee(self) -> None:
        terms = replace(TERMS, program=Program(instalment_fee=500))
        loan = state((day(1, 5), Deferred(2, accrue=True, to_end=True)), paid=(), on=day(4, 15), terms=terms)
        assert [fee.key for fee in loan.fees] == ["instalment_fee:2024-04-01"]

    def test_the_instalment_due_that_day_can_be_deferred_the_one_past_due_cannot(self) -> None:
        loan = state((day(4), Deferred(1, accrue=True, to_end=True)), on=day(5, 2))
        assert [row.status for row in loan.instalments[2:4]] == [InstalmentStatus.DEFERRED, InstalmentStatus.PAST_DUE]
        loan = state((day(4, 2), Deferred(1, accrue=True, to_end=True)), on=day(4, 2))
        assert [row.status for row in loan.instalments[2:4]] == [InstalmentStatus.PAST_DUE, InstalmentStatus.DEFERRED]

    def test_the_interest_of_a_deferred_period_pays_a_loan_off_with_its_principal(self) -> None:
        terms = replace(TERMS, program=Program(payoff_interest=PayoffInterest.PER_DIEM))
        on = day(1, 11)
        deferred = (day(1, 5), Deferred(2, accrue=True, to_end=True))
        # 12,000.00 x 0.12 x 10 / 365 = 39.45
        loan = state(deferred, paid=((on, 1_203_945),), on=on, terms=terms)
        assert (loan.status, loan.unapplied) == (LoanStatus.PAID_OFF, 0)

    def test_a_loan_paid_off_while_deferred_owes_the_interest_of_the_days(self) -> None:
        loan = state((ON, Deferred(2, accrue=True, to_end=True)), on=day(4, 16))
        assert loan.payoff is not None
        assert loan.payoff.interest == 10_098 + 5049  # March, and 15 of April's 30 days


class TestForbearance:
    def test_reduced_payments_and_what_they_lack_is_paid_by_the_last(self) -> None:
        loan = state((ON, Forborne(day(5, 15), accrue=True, payment=50_000)))
        # 500.00 - 100.98; (10,098.16 - 399.02) x 0.01 = 96.99
        assert table(loan, 3, 4) == [(3, day(4), 39_902, 10_098), (4, day(5), 40_301, 9699)]
        assert payments(loan, 5) == [LEVEL] * 7 + [229_847]

    def test_a_reduced_payment_below_the_interest_capitalises_nothing(self) -> None:
        loan = state((ON, Forborne(day(5, 15), accrue=True, payment=5000)))
        # 100.98 - 50.00 = 50.98 are carried; 100.98 + 50.98 - 50.00 = 101.96; 101.96 + 100.98
        assert table(loan, 3, 5) == [(3, day(4), 0, 5000), (4, day(5), 0, 5000), (5, day(6), LEVEL - 20_294, 20_294)]

    def test_paying_the_reduced_amount_is_paying_on_time(self) -> None:
        terms = replace(TERMS, program=Program(grace_days=5, late_fee=LateFee(LateFeeKind.FLAT, flat=3000)))
        paid = (*PAID, (day(4), 50_000), (day(5), 50_000))
        loan = state((ON, Forborne(day(5, 15), accrue=True, payment=50_000)), paid=paid, on=day(5, 31), terms=terms)
        assert (loan.days_past_due, loan.fees_balance, loan.next_due_amount) == (0, 0, LEVEL)

    def test_without_a_payment_nothing_is_due(self) -> None:
        loan = state((ON, Forborne(day(4, 1), accrue=False, payment=None)), on=day(4))
        assert loan.instalments[2].status is InstalmentStatus.DEFERRED
        assert loan.accrued_interest == 2932
        # April bears 100.98 again
        assert table(loan, 4, 4) == [(4, day(5), LEVEL - 13_030, 13_030)]
