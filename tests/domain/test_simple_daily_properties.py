"""What is true of every loan whose interest accrues daily, whatever its terms and whatever is paid when."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise, permutations

from hypothesis import assume, given
from hypothesis import strategies as st

from domain.daily_interest import borne
from domain.errors import InvalidTerms
from domain.events import Boarded, Event
from domain.loan import Allocation, LoanState, LoanStatus
from domain.payoff import payoff_quote
from domain.plan import contract
from domain.program import AdvanceOrder, Component, ExtraMoney, LateFee, LateFeeKind, PayoffInterest
from domain.rates import Rates
from domain.replay import begin, close, in_order, preview, replay, take
from domain.terms import LoanTerms
from tests.domain.daily_model import Life, lives, part_of_a_year, relive, terms_of
from tests.domain.loans import assert_books_agree, events, run, state
from tests.properties.budget import tries

FAST = tries(60)


def seen(allocation: Allocation) -> tuple[int, int, int]:
    return allocation.interest, allocation.principal, allocation.unapplied


@FAST
@given(lives())
def test_agrees_with_the_model(life: Life) -> None:
    model, expected, paid_off = relive(life)
    result = replay(life.terms, events(*life.payments, terms=life.terms), life.as_of)
    loan = result.state
    assert {key: seen(allocation) for key, allocation in result.allocations.items()} == expected
    assert loan.paid_off_on == paid_off
    assert loan.principal_balance == model.principal
    assert loan.accrued_interest == model.owed * (paid_off is None)
    assert sum(result.accruals.values()) == model.interest_paid + loan.accrued_interest
    assert abs(sum(result.accruals.values()) - model.exact) <= Fraction(len(expected) + 1, 2)
    if paid_off is None:
        quote = payoff_quote(loan)
        assert (quote.principal, quote.interest) == (model.principal, model.owed)
    assert_books_agree(result)


@FAST
@given(lives())
def test_is_as_late_as_the_model_says(life: Life) -> None:
    """An instalment is paid when its payment is, however late; what is paid beyond the current one pays no other."""
    model, _, paid_off = relive(life)
    loan = state(life.as_of, *life.payments, terms=life.terms)
    assert loan.oldest_unpaid_due_date == (None if paid_off else model.oldest(life.as_of))


@FAST
@given(lives(extra_money=ExtraMoney.PRINCIPAL_ONLY) | lives(extra_money=ExtraMoney.ADVANCE_DUE), st.data())
def test_rows_add_up_on_every_day(life: Life, data: st.DataObject) -> None:
    order = data.draw(st.sampled_from(list(permutations([Component.FEES, Component.INTEREST, Component.PRINCIPAL]))))
    program = replace(
        life.terms.program,
        allocation_order=order,
        advance_order=data.draw(st.sampled_from(AdvanceOrder)),
        past_due_interest=data.draw(st.booleans()),
        payoff_interest=data.draw(st.sampled_from(PayoffInterest)),
        payoff_counts_today=data.draw(st.booleans()),
    )
    terms = replace(life.terms, program=program)
    for day in sorted({life.as_of, *(day for day, _ in life.payments)}):
        result = replay(terms, events(*life.payments, terms=terms), day)
        loan = result.state
        curtailed = sum(
            line.amount
            for allocation in result.allocations.values()
            for line in allocation.lines
            if line.component is Component.PRINCIPAL and line.instalment_number is None
        )
        assert sum(row.principal for row in loan.instalments) + curtailed == terms.principal
        assert sum(row.interest_paid for row in loan.instalments) == sum(result.accruals.values()) - loan.accrued_interest
        assert sum(row.interest for row in loan.instalments) >= sum(result.accruals.values())
        assert min(loan.principal_balance, loan.accrued_interest) >= 0
        for row in loan.instalments:
            assert 0 <= row.principal_paid <= row.principal
            assert 0 <= row.interest_paid <= row.interest
        numbers = [row.number for row in loan.instalments]
        assert numbers == sorted(set(numbers))
        assert_books_agree(result)


@FAST
@given(lives(), st.booleans())
def test_the_quoted_payoff_pays_off_and_a_cent_less_does_not(life: Life, past_due_interest: bool) -> None:
    terms = replace(life.terms, program=replace(life.terms.program, past_due_interest=past_due_interest))
    known = events(*life.payments, terms=terms)
    known = [event for event in known if event.effective_date <= life.as_of]
    loan = replay(terms, known, life.as_of).state
    assume(loan.status is LoanStatus.ACTIVE)
    total = payoff_quote(loan).total
    after = preview(terms, known, total, life.as_of, life.as_of)
    assert (after.state.status, after.allocation.unapplied) == (LoanStatus.PAID_OFF, 0)
    assert not any(row.payment - row.principal_paid - row.interest_paid for row in after.state.instalments)
    if total > 1:
        assert preview(terms, known, total - 1, life.as_of, life.as_of).state.status is LoanStatus.ACTIVE


@FAST
@given(lives(), st.booleans())
def test_a_loan_paid_as_foreseen_goes_as_foreseen(life: Life, past_due_interest: bool) -> None:
    """Each instalment on its due date, what is past due with the next one: the payments come out as they were shown."""
    terms = replace(life.terms, program=replace(life.terms.program, past_due_interest=past_due_interest))
    dues = contract(terms).plan.due_dates
    paid = [payment for payment in life.payments if payment[0] <= life.as_of]
    shown = replay(terms, events(*paid, terms=terms), life.as_of).state
    assume(shown.status is LoanStatus.ACTIVE and life.as_of < dues[-1])
    unpaid = {row.due_date: row.payment - row.principal_paid - row.interest_paid for row in shown.instalments}
    due = [day for day, amount in unpaid.items() if day <= life.as_of and amount]
    following = next(day for day in dues if day > life.as_of)
    to_pay: dict[date, int] = {}
    for day, amount in unpaid.items():
        when = following if day < life.as_of or (day in due and due[0] < day == life.as_of) else day
        to_pay[when] = to_pay.get(when, 0) + amount
    paid += [(day, amount) for day, amount in to_pay.items() if amount]
    loan = replay(terms, events(*paid, terms=terms), dues[-1]).state
    assert (loan.status, loan.unapplied) == (LoanStatus.PAID_OFF, 0)
    assert payments(loan) == payments(shown)


def payments(loan: LoanState) -> list[int]:
    return [row.payment for row in loan.instalments if row.payment]


@FAST
@given(terms_of(), st.lists(st.integers(0, 400), min_size=2, max_size=6), st.data())
def test_what_is_borne_is_the_sum_of_its_days(terms: LoanTerms, offsets: list[int], data: st.DataObject) -> None:
    plan = contract(terms).plan
    periods = list(zip(plan.starts, plan.due_dates, strict=True))
    days = sorted(terms.contract_date + timedelta(days=offset) for offset in offsets)
    rates = Rates(terms.annual_rate)
    for day in data.draw(st.lists(st.sampled_from(days), max_size=3)):
        rates = rates.changed(day, Fraction(data.draw(st.integers(0, 30)), 100), day + timedelta(days=40))
    total = Fraction(0)
    for start, end in pairwise(days):
        total += Fraction(*borne(terms.program.day_count, rates, plan, start, end))
    nights = (days[0] + timedelta(days=number) for number in range((days[-1] - days[0]).days))
    expected = sum(
        (rates.on(night) * part_of_a_year(terms.program.day_count, night, periods) for night in nights), Fraction(0)
    )
    assert total == expected
    assert Fraction(*borne(terms.program.day_count, rates, plan, days[0], days[-1])) == expected


@FAST
@given(terms_of(), st.data())
def test_a_boarded_loan_earns_on_from_what_was_brought(terms: LoanTerms, data: st.DataObject) -> None:
    dues = contract(terms).plan.due_dates
    assume(contract(terms).plan.level_payment)
    opened = terms.contract_date + timedelta(days=data.draw(st.integers(0, (dues[-1] - terms.contract_date).days + 30)))
    oldest = data.draw(st.sampled_from(dues))
    principal, interest = data.draw(st.integers(1, terms.principal)), data.draw(st.integers(0, 5000))
    body = Boarded(LoanStatus.ACTIVE, principal, interest, 0, oldest, None)
    try:
        first = run(opened, terms=terms, first=Event(1, opened, body))
    except InvalidTerms:
        assume(False)
        raise
    assert first.state.accrued_interest == body.interest
    assert sum(row.principal for row in first.state.instalments) == body.principal
    later = run(opened + timedelta(days=50), terms=terms, first=Event(1, opened, body))
    assert later.state.oldest_unpaid_due_date == (oldest if oldest <= later.state.as_of else None)
    assert_books_agree(later)


@FAST
@given(lives(), st.data())
def test_looking_at_a_loan_changes_nothing(life: Life, data: st.DataObject) -> None:
    """Closed on days in between, with all that is shown then, it goes on as if nobody had looked; late fees too."""
    program = replace(
        life.terms.program,
        extra_money=data.draw(st.sampled_from(ExtraMoney)),
        past_due_interest=data.draw(st.booleans()),
        instalment_fee=data.draw(st.sampled_from([0, 250])),
        grace_days=data.draw(st.integers(0, 20)),
        late_fee=LateFee(LateFeeKind.PERCENT, percent=Fraction(1, 3)),
    )
    terms = replace(life.terms, program=program)
    known = in_order(events(*life.payments, terms=terms))
    looks = data.draw(st.lists(st.integers(0, (life.as_of - terms.contract_date).days), max_size=6))
    looks_at = sorted(terms.contract_date + timedelta(days=look) for look in looks)
    fold = begin(terms, known)
    for event in (event for event in known if event.effective_date <= life.as_of):
        while looks_at and looks_at[0] < event.effective_date:
            close(fold, looks_at.pop(0))
        take(fold, event)
    for day in looks_at:
        close(fold, day)
    watched, unwatched = close(fold, life.as_of), replay(terms, known, life.as_of)
    assert watched.state == unwatched.state
    assert (watched.entries, watched.accruals) == (unwatched.entries, unwatched.accruals)
    assert_books_agree(watched)
