"""Modifications of a running loan, interest method `scheduled`: other dates, other terms, and what is refused.

The loan of the tables is that of tests/domain/modifying.py. Amounts in cents.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

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
from domain.events import FORMS_BY_BODY, Boarded, Disbursed, Event, PaymentReceived, event_from_dict, event_to_dict
from domain.loan import InstalmentStatus, LoanStatus, state_hash
from domain.program import Frequency, LateFee, LateFeeKind, Program
from domain.replay import replay
from tests.domain.loans import assert_books_agree
from tests.domain.modifying import LEFT, LEVEL, ON, PAID, SIX, TERMS, day, payments, run, state, table


def test_the_loan_before_anything_is_changed() -> None:
    loan = state()
    assert (loan.principal_balance, payments(loan)) == (LEFT, [LEVEL] * 9 + [106_614])
    assert loan.accrued_interest == 2932  # 100.98 x 9 days of 31


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
