"""Modifications of a running loan, interest method `scheduled`: the instalments they make, and what they refuse.

The loan of the tables: 12,000.00 at 12 % over 12 months from 1 January 2024, due on the 1st, level payment 1,066.19
(12,000.00 x 0.01 / (1 - 1.01 ** -12) = 1,066.185...). After two payments 10,098.16 are owed. Amounts in cents.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from domain.changes import (
    MODIFICATIONS,
    Deferred,
    DueDateChanged,
    Extended,
    Forborne,
    Modification,
    RateChanged,
    ReAged,
    ReAmortized,
)
from domain.errors import InvalidInput, WrongState
from domain.events import (
    FORMS_BY_BODY,
    Boarded,
    Disbursed,
    Event,
    EventBody,
    PaymentReceived,
    event_from_dict,
    event_to_dict,
)
from domain.loan import InstalmentStatus, LoanState, LoanStatus, state_hash
from domain.program import AdvanceOrder, ExtraMoney, Frequency, InterestMethod, LateFee, LateFeeKind, PayoffInterest, Program
from domain.replay import Replay, replay
from domain.terms import LoanTerms
from tests.domain.loans import assert_books_agree

TERMS = LoanTerms(Program(), 1_200_000, Fraction(12, 100), 12, date(2024, 1, 1), date(2024, 2, 1))
LEVEL, LEFT = 106_619, 1_009_816
ON = date(2024, 3, 10)
SIX = Fraction(6, 100)


def day(month: int, of_month: int = 1, year: int = 2024) -> date:
    return date(year, month, of_month)


PAID = ((day(2), LEVEL), (day(3), LEVEL))


def run(
    *made: tuple[date, EventBody],
    paid: tuple[tuple[date, int], ...] = PAID,
    on: date = ON,
    terms: LoanTerms = TERMS,
) -> Replay:
    """The loan at the close of `on`, recorded in this order: its beginning, the payments, then what was made of it."""
    bodies: list[tuple[date, EventBody]] = [(terms.contract_date, Disbursed(terms.principal))]
    bodies += [(when, PaymentReceived(amount, f"p{n}")) for n, (when, amount) in enumerate(paid, 1)]
    events = [Event(n, when, body) for n, (when, body) in enumerate([*bodies, *made], 1)]
    result = replay(terms, events, on)
    assert_books_agree(result)
    assert result.state.principal_balance == sum(i.principal - i.principal_paid for i in result.state.instalments)
    return result


def state(*made: tuple[date, EventBody], **more: Any) -> LoanState:
    return run(*made, **more).state


def table(loan: LoanState, first: int, last: int) -> list[tuple[int, date, int, int]]:
    """Number, due date, principal and interest of the instalments `first` to `last`."""
    rows = [row for row in loan.instalments if first <= row.number <= last]
    return [(row.number, row.due_date, row.principal, row.interest) for row in rows]


def payments(loan: LoanState, first: int = 3) -> list[int]:
    return [row.payment for row in loan.instalments if row.number >= first]


def test_the_loan_before_anything_is_changed() -> None:
    loan = state()
    assert (loan.principal_balance, payments(loan)) == (LEFT, [LEVEL] * 9 + [106_614])
    assert loan.accrued_interest == 2932  # 100.98 x 9 days of 31


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


class TestExtension:
    def test_with_a_new_payment(self) -> None:
        loan = state((ON, Extended(3, reamortize=True)))
        # 10,098.16 x 0.01 / (1 - 1.01 ** -13) = 832.24
        assert payments(loan) == [83_224] * 12 + [83_220]
        assert [row.number for row in loan.instalments] == list(range(1, 16))

    def test_the_payment_stays_and_there_is_room_for_what_was_deferred(self) -> None:
        deferred, extension = Deferred(2, accrue=True, to_end=False), Extended(2, reamortize=False)
        assert state((ON, deferred), (ON, extension)) == state((ON, Deferred(2, accrue=True, to_end=True)))
        assert state((ON, extension)) == state()

    def test_days_of_the_month_are_kept(self) -> None:
        terms = replace(TERMS, first_due_date=day(1, 31), periods=2)
        loan = state((day(1, 5), Extended(3, reamortize=True)), paid=(), on=day(1, 5), terms=terms)
        assert [row.due_date for row in loan.instalments] == [
            day(1, 31),
            day(2, 29),
            day(3, 31),
            day(4, 30),
            day(5, 31),
        ]


class TestDueDateChange:
    def test_later_ones_follow_and_the_longer_period_bears_its_days(self) -> None:
        loan = state((ON, DueDateChanged(day(4, 15))))
        # 45 days instead of 31: 10,098.16 x 0.01 x 45 / 31 = 146.59; then a month again
        assert table(loan, 3, 4) == [(3, day(4, 15), 91_960, 14_659), (4, day(5, 15), 97_440, 9179)]
        assert (loan.accrued_interest, loan.instalments[-1].due_date) == (2932, day(1, 15, 2025))

    def test_no_fee_and_no_day_past_due_for_the_old_date(self) -> None:
        terms = replace(TERMS, program=Program(grace_days=5, late_fee=LateFee(LateFeeKind.FLAT, flat=3000)))
        loan = state((ON, DueDateChanged(day(4, 15))), on=day(4, 20), terms=terms)
        assert (loan.days_past_due, loan.fees_balance) == (5, 0)
        loan = state((ON, DueDateChanged(day(4, 15))), on=day(4, 21), terms=terms)
        assert [fee.key for fee in loan.fees] == ["late_fee:2024-04-15"]

    def test_an_earlier_date_shortens_the_period(self) -> None:
        loan = state((ON, DueDateChanged(day(3, 20))))
        # 19 days: 10,098.16 x 0.01 x 19 / 31 = 61.89
        assert table(loan, 3, 3) == [(3, day(3, 20), LEVEL - 6189, 6189)]

    def test_a_semimonthly_loan_gets_the_pair_of_the_new_day(self) -> None:
        terms = replace(TERMS, program=Program(frequency=Frequency.SEMIMONTHLY), first_due_date=day(1, 16), periods=4)
        loan = state((day(1, 5), DueDateChanged(day(1, 22))), paid=(), on=day(1, 5), terms=terms)
        assert [row.due_date for row in loan.instalments] == [day(1, 22), day(2, 7), day(2, 22), day(3, 7)]

    @pytest.mark.parametrize(
        ("new", "allowed"), [(day(3, 10), False), (day(3, 11), True), (day(5, 16), True), (day(5, 17), False)]
    )
    def test_within_45_days_of_the_old_date_and_after_today(self, new: date, allowed: bool) -> None:
        if allowed:
            assert state((ON, DueDateChanged(new))).next_due_date == new
            return
        with pytest.raises(InvalidInput) as refused:
            state((ON, DueDateChanged(new)))
        assert refused.value.errors[0].pointer == "/new_first_due"


class TestReAge:
    def test_past_due_principal_is_amortized_and_past_due_interest_is_paid_first(self) -> None:
        terms = replace(TERMS, program=Program(grace_days=5, late_fee=LateFee(LateFeeKind.FLAT, flat=3000)))
        on = day(4, 10)
        before, loan = state(paid=PAID[:1], on=on, terms=terms), state((on, ReAged()), paid=PAID[:1], on=on, terms=terms)
        assert (before.days_past_due, loan.days_past_due) == (40, 0)
        assert (loan.past_due_amount, loan.fees_balance) == (0, before.fees_balance)
        assert loan.principal_balance == before.principal_balance == 1_105_381
        assert loan.accrued_interest == before.accrued_interest
        assert [row.status for row in loan.instalments[1:3]] == [InstalmentStatus.DEFERRED] * 2
        # interest of February and March as contracted, 110.54 + 100.98, and April's 91.33 as contracted
        assert table(loan, 4, 4) == [(4, day(5), 131_266 - 30_285, 30_285)]
        # from then on all that is owed bears: (11,053.81 - 1,009.81) x 0.01
        assert table(loan, 5, 5) == [(5, day(6), 131_266 - 10_044, 10_044)]
        assert payments(loan, 4) == [131_266] * 8 + [131_260]

    def test_a_loan_that_is_current_has_nothing_to_re_age(self) -> None:
        with pytest.raises(WrongState) as refused:
            state((ON, ReAged()))
        assert refused.value.allowed == ("past_due",)

    def test_a_loan_that_has_matured_is_extended_first(self) -> None:
        on = day(3, 10, 2025)
        with pytest.raises(WrongState) as refused:
            state((on, ReAged()), on=on)
        assert refused.value.allowed == ("extend",)
        loan = state((on, Extended(6, reamortize=False)), (on, ReAged()), on=on)
        passed = [row for row in loan.instalments if row.number > 12 and row.due_date <= on]
        assert {(row.payment, row.status) for row in passed} == {(0, InstalmentStatus.DEFERRED)}
        assert (loan.days_past_due, loan.next_due_date) == (0, day(4, 1, 2025))
        # past-due principal bears none in this method, nor in the period in which it is moved
        assert loan.accrued_interest == state(on=on).accrued_interest
        assert loan.instalments[14].interest == loan.accrued_interest == 56_369

    def test_what_a_re_age_carried_is_still_owed_when_the_loan_is_modified_again_that_day(self) -> None:
        on = day(3, 1, 2025)
        made = ((on, Extended(6, reamortize=False)), (on, ReAged()))
        before, loan = state(*made, on=on), state(*made, (on, RateChanged(SIX, None, keep_payment=False)), on=on)
        assert loan.accrued_interest == before.accrued_interest == 56_369

    def test_an_extension_of_a_matured_loan_waits_for_its_re_age(self) -> None:
        extension, on = (day(1, 20, 2025), Extended(6, reamortize=False)), day(3, 10, 2025)
        assert state(extension, on=on) == state(on=on)
        assert state(extension, (on, ReAged()), on=on) == state((on, Extended(6, reamortize=False)), (on, ReAged()), on=on)


class TestReAmortization:
    def test_after_a_curtailment_the_payment_falls_and_the_term_stays(self) -> None:
        paid = (*PAID, (day(3, 5), LEVEL + 300_000))
        curtailed, loan = state(paid=paid), state((ON, ReAmortized(None)), paid=paid)
        assert (len(curtailed.instalments), len(loan.instalments)) == (9, 12)
        # 10,098.16 - 965.21 - 3,000.00 = 6,132.95 over 9: x 0.01 / (1 - 1.01 ** -9) = 715.96
        assert payments(loan, 4) == [71_596] * 8 + [71_599]

    def test_over_another_number_of_instalments(self) -> None:
        shorter, longer = state((ON, ReAmortized(6))), state((ON, ReAmortized(13)))
        # 10,098.16 x 0.01 / (1 - 1.01 ** -6) = 1,742.42
        assert payments(shorter) == [174_242] * 5 + [174_242]
        assert longer == state((ON, Extended(3, reamortize=True)))

    def test_interest_carried_over_is_in_the_payment(self) -> None:
        """The least payment whose last instalment is not more than the others."""
        loan = state((ON, Deferred(2, accrue=True, to_end=True)), (day(4, 2), ReAmortized(None)), on=day(4, 2))
        assert len(set(payments(loan, 5)[:-1])) == 1
        assert 0 <= payments(loan, 5)[-2] - payments(loan, 5)[-1] < 10


BOARDED = Boarded(LoanStatus.ACTIVE, LEFT, 2000, 0, day(4), None)


@pytest.mark.parametrize(
    ("body", "third"),
    [
        (RateChanged(SIX, None, keep_payment=True), (LEVEL - 6515 + 932, 6515 - 932)),
        (Deferred(1, accrue=True, to_end=True), (0, 0)),
        (Forborne(day(4, 2), accrue=True, payment=50_000), (50_000 - 9166, 9166)),
        (DueDateChanged(day(4, 15)), (LEVEL - 14_659 + 932, 14_659 - 932)),
    ],
)
def test_a_boarded_loan_is_modified_like_any_other(body: Modification, third: tuple[int, int]) -> None:
    """Boarded on 10 March, when 29.32 of the third instalment's interest was earned, with 20.00 of it unpaid."""
    result = replay(TERMS, [Event(1, ON, BOARDED), Event(2, ON, body)], ON)
    assert_books_agree(result)
    loan = result.state
    assert (loan.instalments[0].number, loan.accrued_interest) == (3, 2000)
    assert (loan.instalments[0].principal, loan.instalments[0].interest) == third


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (RateChanged(Fraction(2), None, False), "/rate"),
        (RateChanged(SIX, ON, False), "/until"),
        (Deferred(0, True, True), "/instalments"),
        (Deferred(10, True, False), "/instalments"),
        (Deferred(11, True, True), "/instalments"),
        (Forborne(day(3, 31), True, None), "/until"),
        (Forborne(day(1, 1, 2025), True, None), "/until"),
        (Forborne(day(4, 15), True, LEVEL), "/payment"),
        (Extended(0, True), "/periods"),
        (Extended(469, True), "/periods"),
        (DueDateChanged(day(3, 1)), "/new_first_due"),
        (ReAmortized(0), "/periods"),
        (ReAmortized(479), "/periods"),
    ],
)
def test_what_cannot_be_is_refused_at_the_field(body: Modification, pointer: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        state((ON, body))
    assert [error.pointer for error in refused.value.errors] == [pointer]


def test_a_term_beyond_the_calendar_is_refused() -> None:
    terms = replace(TERMS, program=Program(frequency=Frequency.ANNUALLY), first_due_date=day(1, 31), periods=100)
    with pytest.raises(InvalidInput) as refused:
        state((day(1, 5), Extended(100, reamortize=False)), paid=(), on=day(1, 5), terms=terms)
    assert refused.value.errors[0].pointer == "/periods"


def test_a_single_payment_loan_has_one_due_date() -> None:
    terms = replace(TERMS, program=Program(frequency=Frequency.SINGLE), periods=1)
    with pytest.raises(InvalidInput):
        state((day(1, 5), Extended(1, reamortize=False)), paid=(), on=day(1, 5), terms=terms)
    assert state((day(1, 5), DueDateChanged(day(3, 1))), paid=(), on=day(1, 5), terms=terms).next_due_date == day(3, 1)


@pytest.mark.parametrize("body", [RateChanged(SIX, None, False), ReAged(), ReAmortized(None), DueDateChanged(day(4, 15))])
def test_only_an_active_loan_is_modified(body: Modification) -> None:
    with pytest.raises(WrongState) as refused:
        state((day(3, 11), body), paid=(*PAID, (ON, 2 * LEFT)), on=day(3, 11))
    assert (refused.value.state, refused.value.allowed) == ("paid_off", ("active",))


@pytest.mark.parametrize(
    "body",
    [
        RateChanged(Fraction(599, 10_000), day(6), False, "reduction"),
        RateChanged(SIX, None, True),
        RateChanged(SIX, day(6), False, "active duty", cap=True),
        Deferred(2, True, False),
        Forborne(day(6), False, 5000),
        Forborne(day(6), True, None),
        Extended(3, True),
        DueDateChanged(day(4, 15)),
        ReAged(),
        ReAmortized(None),
        ReAmortized(12),
    ],
)
def test_what_is_stored_of_a_modification_is_read_again(body: Modification) -> None:
    assert event_from_dict(FORMS_BY_BODY[type(body)].kind, event_to_dict(body)) == body
    assert type(body) in MODIFICATIONS


def test_a_backdated_modification_is_one_entered_in_time() -> None:
    """Recorded last or first, the state is the same, and so is each payment's allocation."""
    paid = (*PAID, (day(4), LEVEL), (day(5, 3), 2 * LEVEL), (day(6), 50_000))
    for body in (RateChanged(SIX, day(5, 20), False), Deferred(2, True, True), Extended(4, True)):
        late = run((ON, body), paid=paid, on=day(6, 30))
        events = [Event(1, TERMS.contract_date, Disbursed(TERMS.principal)), Event(2, ON, body)]
        events += [Event(n, when, PaymentReceived(amount, f"p{n - 2}")) for n, (when, amount) in enumerate(paid, 3)]
        in_time = replay(TERMS, events, day(6, 30))
        assert state_hash(late.state) == state_hash(in_time.state)
        assert late.allocations == in_time.allocations


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
