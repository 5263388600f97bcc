"""Interest method `recalculated`: instalments are kept, interest follows the actual principal.

The figures of most tests are those of a loan of 100.00 at 7 % over 6 months, 360/30, level payment 17.01: its first
period bears 0.58, a further month on a principal that is not repaid 7 % / 12 of it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.changes import RateChanged, ReAmortized
from domain.events import Chargeback, ChargedOff, Event, EventBody, PaymentReceived, Waived, WaiverTarget
from domain.going_on import GoingOn
from domain.loan import LoanState, LoanStatus
from domain.program import (
    AdvanceOrder,
    AllocationScope,
    ChargeOffInterest,
    Component,
    ExtraMoney,
    FirstPeriod,
    InterestMethod,
    Program,
    Smoothing,
)
from domain.replay import Replay, replay
from domain.terms import LoanTerms
from tests.domain.loans import assert_books_agree, boarded, disbursed

PROGRAM = Program(
    interest_method=InterestMethod.RECALCULATED,
    first_period=FirstPeriod.REGULAR,
    smoothing=Smoothing.ONE_CENT,
    allocation_order=(Component.PENALTIES, Component.FEES, Component.INTEREST, Component.PRINCIPAL),
    allocation_scope=AllocationScope.INSTALMENT,
    extra_money=ExtraMoney.ADVANCE_DUE,
)
TERMS = LoanTerms(PROGRAM, 10_000, Fraction(7, 100), 6, date(2024, 1, 1), date(2024, 2, 1))
LEVEL = 1701


def under(**program: object) -> LoanTerms:
    return replace(TERMS, program=replace(PROGRAM, **program))  # type: ignore[arg-type]


def events(terms: LoanTerms, *happened: tuple[date, int | EventBody]) -> list[Event]:
    """The disbursement, and payments (their amounts, with the ids "p2", "p3", ...) or other bodies."""
    later = [
        Event(number, day, PaymentReceived(what, f"p{number}") if isinstance(what, int) else what)
        for number, (day, what) in enumerate(happened, 2)
    ]
    return [disbursed(terms), *later]


def run(as_of: date, *happened: tuple[date, int | EventBody], terms: LoanTerms = TERMS) -> Replay:
    return replay(terms, events(terms, *happened), as_of)


def rows(state: LoanState) -> list[tuple[int, int]]:
    """Principal and interest of each instalment."""
    return [(row.principal, row.interest) for row in state.instalments]


def assert_what_is_short_is_left(
    terms: LoanTerms, day: date, short: int, before: list[tuple[date, int | EventBody]]
) -> None:
    """A payment short of the quote leaves that to pay, on the same day and on the next; then all was as quoted."""
    quote = run(day, *before, terms=terms).state.payoff
    assert quote is not None
    paid = [*before, (day, quote.total - short)]
    for rest_day in (day, day + timedelta(days=1)):
        left = run(rest_day, *paid, terms=terms)
        assert (left.state.status, left.state.unapplied) == (LoanStatus.ACTIVE, 0)
        assert left.state.payoff is not None
        assert left.state.payoff.total == short
        assert_books_agree(left)
        done = run(rest_day, *paid, (rest_day, short), terms=terms)
        assert (done.state.status, done.state.unapplied) == (LoanStatus.PAID_OFF, 0)
        own = [done.allocations[f"p{number}"] for number in (len(paid) + 1, len(paid) + 2)]
        assert sum(allocation.interest for allocation in own) == quote.interest
        assert_books_agree(done)
        going = GoingOn(terms, events(terms, *before))
        going.at(day)
        for happened in (paid, [*paid, (rest_day, short)]):
            assert going.follow(events(terms, *happened))
            assert going.at(rest_day) == run(rest_day, *happened, terms=terms)


CONTRACT = [(1643, 58), (1652, 49), (1662, 39), (1672, 29), (1681, 20), (1690, 10)]


class TestInstalments:
    def test_the_contract(self) -> None:
        assert rows(run(date(2024, 1, 1)).state) == CONTRACT

    def test_paid_on_time_nothing_changes(self) -> None:
        dues = [date(2024, month, 1) for month in range(2, 8)]
        paid = run(dues[-1], *((due, LEVEL) for due in dues[:-1]), (dues[-1], 1700))
        assert rows(paid.state) == CONTRACT
        assert paid.state.status is LoanStatus.PAID_OFF

    def test_money_in_advance_pays_interest_to_its_day_and_lowers_what_follows(self) -> None:
        state = run(date(2024, 1, 15), (date(2024, 1, 15), 1500)).state
        first, second = state.instalments[:2]
        assert (first.interest_paid, first.principal_paid) == (26, 1474)
        assert first.principal + first.interest == LEVEL
        assert first.interest < 58
        assert second.interest < 50
        assert sum(row.principal for row in state.instalments) == 10_000

    def test_an_instalment_paid_ahead_leaves_its_days_interest_to_the_next(self) -> None:
        state = run(date(2024, 1, 15), (date(2024, 1, 15), LEVEL)).state
        first, second = state.instalments[:2]
        assert (first.principal, first.interest, first.unpaid) == (1675, 26, 0)
        assert second.interest == 76  # 49 of its own, 27 of the rest of January
        assert second.payment == LEVEL

    def test_principal_past_due_bears_interest_to_the_day_of_the_replay(self) -> None:
        on_time, late = run(date(2024, 2, 1)).state, run(date(2024, 2, 15)).state
        assert rows(on_time)[1] == (1652, 49)
        assert rows(late)[0] == CONTRACT[0]
        assert rows(late)[1] == (1648, 53)  # 16.43 for 14 of 29 days more

    def test_it_bears_none_where_the_program_says_so(self) -> None:
        terms = under(past_due_interest=False)
        assert rows(run(date(2024, 3, 15), terms=terms).state) == CONTRACT

    @pytest.mark.parametrize(
        ("advance", "paid"), [(AdvanceOrder.NEXT, [LEVEL, 299, 0, 0, 0, 0]), (AdvanceOrder.LAST, [0, 0, 0, 0, 299, LEVEL])]
    )
    def test_money_in_advance_fills_the_next_or_the_last_instalment_first(
        self, advance: AdvanceOrder, paid: list[int]
    ) -> None:
        state = run(date(2024, 1, 15), (date(2024, 1, 15), 2000), terms=under(advance_order=advance)).state
        assert [row.principal_paid + row.interest_paid for row in state.instalments] == paid

    @pytest.mark.parametrize(
        ("extra", "paid", "unapplied"),
        [
            (ExtraMoney.PRINCIPAL_ONLY, [LEVEL, 0, 0, 0, 0, 299], 0),
            (ExtraMoney.UNAPPLIED, [LEVEL, 0, 0, 0, 0, 0], 299),
        ],
    )
    def test_extra_money_beyond_the_current_instalment(self, extra: ExtraMoney, paid: list[int], unapplied: int) -> None:
        state = run(date(2024, 1, 15), (date(2024, 1, 15), 2000), terms=under(extra_money=extra)).state
        assert [row.principal_paid + row.interest_paid for row in state.instalments] == paid
        assert state.unapplied == unapplied


class TestPayoff:
    @pytest.mark.parametrize(
        "day", [date(2024, 1, 1), date(2024, 1, 15), date(2024, 2, 1), date(2024, 3, 10), date(2024, 8, 1)]
    )
    def test_it_pays_the_loan_off_to_the_cent(self, day: date) -> None:
        quote = run(day).state.payoff
        assert quote is not None
        done = run(day, (day, quote.total))
        assert (done.state.status, done.state.unapplied) == (LoanStatus.PAID_OFF, 0)
        assert run(day, (day, quote.total - 1)).state.status is LoanStatus.ACTIVE
        assert_books_agree(done)

    @pytest.mark.parametrize("past_due_interest", [True, False])
    @pytest.mark.parametrize("day", [date(2024, 1, 1), date(2024, 1, 15), date(2024, 1, 31), date(2024, 3, 10)])
    def test_where_today_counts_the_quote_is_what_is_paid(self, day: date, past_due_interest: bool) -> None:
        """Nothing of it is left over; and money that is charged back on the same day is owed again."""
        terms = under(payoff_counts_today=True, past_due_interest=past_due_interest)
        quote = run(day, terms=terms).state.payoff
        assert quote is not None
        done = run(day, (day, quote.total), terms=terms)
        assert (done.state.status, done.state.unapplied) == (LoanStatus.PAID_OFF, 0)
        assert done.allocations["p2"].interest == quote.interest
        assert_books_agree(done)
        back = run(day + timedelta(days=40), (day, quote.total), (day, Chargeback("c", "p2", quote.total)), terms=terms)
        assert back.state.principal_balance + back.state.accrued_interest >= quote.principal
        assert_books_agree(back)

    @pytest.mark.parametrize("past_due_interest", [True, False])
    @pytest.mark.parametrize("day", [date(2024, 1, 15), date(2024, 1, 31), date(2024, 2, 1), date(2024, 3, 10)])
    @pytest.mark.parametrize("short", [1, 2])
    def test_where_today_counts_less_than_the_quote_leaves_what_is_short(
        self, day: date, short: int, past_due_interest: bool
    ) -> None:
        """Today's interest on 100.00 is 0.02, so that what is short by it would be a payoff where today did not count."""
        terms = under(payoff_counts_today=True, past_due_interest=past_due_interest)
        assert_what_is_short_is_left(terms, day, short, [])

    @pytest.mark.parametrize("day", [date(2024, 2, 10), date(2024, 2, 28)])
    @pytest.mark.parametrize("short", [1, 2])
    def test_nor_where_the_instalments_have_borne_their_fees(self, day: date, short: int) -> None:
        """Of two instalments one is due, and the other's fee was taken by what was paid of it."""
        fees_first = (Component.PENALTIES, Component.FEES, Component.INTEREST, Component.PRINCIPAL)
        program = replace(PROGRAM, payoff_counts_today=True, instalment_fee=1000, allocation_order=fees_first)
        terms = replace(TERMS, program=program, principal=1_000_000, periods=2)
        due = date(2024, 2, 1)
        first = run(due, terms=terms).state.instalments[0]
        before = [(due, first.unpaid + 1000 + 1000)]
        assert_what_is_short_is_left(terms, day, short, before)

    @pytest.mark.parametrize(("short", "status"), [(1, LoanStatus.ACTIVE), (0, LoanStatus.PAID_OFF)])
    def test_what_is_paid_and_charged_back_on_a_day_bears_once(self, short: int, status: LoanStatus) -> None:
        """The day after, the loan owes what it would if nothing had been paid, a cent of rounding aside."""
        terms = replace(under(payoff_counts_today=True), principal=10_000_000)
        day, after = date(2024, 1, 15), date(2024, 1, 16)
        quote, unpaid = run(day, terms=terms).state.payoff, run(after, terms=terms).state.payoff
        assert quote is not None
        assert unpaid is not None
        paid = (day, quote.total - short)
        assert run(day, paid, terms=terms).state.status is status
        back = run(after, paid, (day, Chargeback("c", "p2", paid[1])), terms=terms).state.payoff
        assert back is not None
        assert abs(back.total - unpaid.total) <= 1

    @pytest.mark.parametrize(("counts_today", "interest"), [(False, 583_33 + 281_61), (True, 583_33 + 301_72)])
    def test_today_bears_on_what_is_past_due_too_where_it_counts(self, counts_today: bool, interest: int) -> None:
        """January bears 100,000.00 x 7 % / 12 = 583.33, and nothing is paid, so that February bears as much: 14 or 15 of
        its 29 days."""
        terms = replace(under(payoff_counts_today=counts_today), principal=10_000_000)
        quote = run(date(2024, 2, 15), terms=terms).state.payoff
        assert quote is not None
        assert quote.interest == interest

    def test_instalments_that_are_not_made_bear_no_instalment_fee(self) -> None:
        terms = under(instalment_fee=1000)
        day = date(2024, 2, 1)
        quote = run(day, terms=terms).state.payoff
        assert quote is not None
        assert quote.fees == 1000
        assert run(day, (day, quote.total), terms=terms).state.status is LoanStatus.PAID_OFF


class TestWhatElseHappens:
    def test_after_a_charge_off_instalments_to_come_are_principal(self) -> None:
        terms = under(charge_off_interest=ChargeOffInterest.STOP)
        state = run(date(2024, 2, 14), (date(2024, 2, 1), LEVEL), (date(2024, 2, 14), ChargedOff("late")), terms=terms).state
        assert rows(state) == [(1643, 58), (1679, 22), (1701, 0), (1701, 0), (1701, 0), (1575, 0)]

    def test_they_stay_where_interest_goes_on(self) -> None:
        terms = under(charge_off_interest=ChargeOffInterest.CONTINUE)
        state = run(date(2024, 2, 14), (date(2024, 2, 1), LEVEL), (date(2024, 2, 14), ChargedOff("late")), terms=terms).state
        assert rows(state) == CONTRACT

    def test_a_chargeback_is_due_with_the_instalment_of_its_day_and_its_principal_bears_interest(self) -> None:
        paid = [(date(2024, 2, 1), LEVEL), (date(2024, 3, 1), LEVEL)]
        state = run(date(2024, 3, 1), *paid, (date(2024, 3, 1), Chargeback("c", "p3", LEVEL))).state
        assert rows(state)[2] == (1662 + 1652 - 10, 39 + 49 + 10)
        assert state.principal_balance == 10_000 - 1643

    def test_waived_interest_counts_for_the_oldest_instalment(self) -> None:
        done = run(date(2024, 2, 1), (date(2024, 2, 1), Waived("w", WaiverTarget.INTEREST)))
        first = done.state.instalments[0]
        assert (first.interest_waived, first.interest_paid, first.unpaid) == (58, 0, 1643)
        assert_books_agree(done)

    def test_a_rate_changed_with_the_payment_kept_moves_the_last_instalment(self) -> None:
        change = RateChanged(Fraction(0), until=None, keep_payment=True)
        state = run(date(2024, 2, 1), (date(2024, 2, 1), LEVEL), (date(2024, 2, 1), change)).state
        assert rows(state) == [(1643, 58), *[(1701, 0)] * 4, (10_000 - 1643 - 4 * 1701, 0)]

    def test_a_re_amortization_spreads_what_is_left(self) -> None:
        happened: list[tuple[date, int | EventBody]] = [
            (date(2024, 2, 1), LEVEL + 4000),
            (date(2024, 2, 1), ReAmortized(None)),
        ]
        state = run(date(2024, 2, 1), *happened, terms=under(extra_money=ExtraMoney.PRINCIPAL_ONLY)).state
        open_rows = [row for row in state.instalments if row.unpaid]
        assert sum(row.principal - row.principal_paid for row in open_rows) == state.principal_balance
        assert sum(row.principal for row in state.instalments) == 10_000

    @pytest.mark.parametrize("interest", [0, 20, 90])
    def test_a_boarded_loan_begins_with_the_interest_it_was_brought_with(self, interest: int) -> None:
        body = boarded(principal=8357, interest=interest, oldest=date(2024, 3, 1))
        result = replay(TERMS, [Event(1, date(2024, 2, 15), body)], date(2024, 2, 15))
        assert result.state.accrued_interest == interest
        assert result.state.principal_balance == sum(row.principal for row in result.state.instalments) == 8357


history = st.lists(
    st.tuples(st.integers(0, 220), st.sampled_from([LEVEL, 1, 500, 1700, 3402, 5000, 9000])), min_size=1, max_size=8
)
programs = st.fixed_dictionaries(
    {
        "extra_money": st.sampled_from(ExtraMoney),
        "advance_order": st.sampled_from(AdvanceOrder),
        "allocation_scope": st.sampled_from(AllocationScope),
        "past_due_interest": st.booleans(),
        "allocation_order": st.permutations([Component.FEES, Component.INTEREST, Component.PRINCIPAL]).map(tuple),
    }
)


@given(history, programs, st.integers(0, 400), st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_properties(paid: list[tuple[int, int]], program: dict[str, object], until: int, seed: int) -> None:
    """Principal is repaid once, never below 0; money is where its allocation says; the order of the list is nothing."""
    terms = under(**program)
    as_of = TERMS.contract_date + timedelta(days=until)
    happened = events(terms, *((TERMS.contract_date + timedelta(days=day), amount) for day, amount in sorted(paid)))
    result = replay(terms, happened, as_of)
    state = result.state
    assert sum(row.principal for row in state.instalments) == TERMS.principal
    assert state.principal_balance >= 0
    assert all(0 <= row.principal_paid <= row.principal and row.interest_paid <= row.interest for row in state.instalments)
    for allocation in result.allocations.values():
        assert sum(line.amount for line in allocation.lines) + allocation.unapplied == allocation.amount
    assert_books_agree(result)
    shuffled = list(happened)
    Random(seed).shuffle(shuffled)
    assert replay(terms, shuffled, as_of) == result


@given(history, st.lists(st.integers(0, 220), max_size=6))
@settings(max_examples=60, deadline=None)
def test_days_on_which_the_loan_was_looked_at_make_no_difference(paid: list[tuple[int, int]], looks: list[int]) -> None:
    """A waiver of nothing is an event on which nothing happens: the loan is brought to its day and stays what it is."""
    happened = events(TERMS, *((TERMS.contract_date + timedelta(days=day), amount) for day, amount in sorted(paid)))
    nothing = [
        Event(
            100 + number, TERMS.contract_date + timedelta(days=day), Waived(f"w{number}", WaiverTarget.FEE, "late_fee:none")
        )
        for number, day in enumerate(looks)
    ]
    as_of = TERMS.contract_date + timedelta(days=230)
    assert replay(TERMS, [*happened, *nothing], as_of).state == replay(TERMS, happened, as_of).state
