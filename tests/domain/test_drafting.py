"""The decision of a draft, and the preview of those to come."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.cadence import Cadence, DraftFrequency
from domain.calendars import due_dates, next_banking_day
from domain.draft_amounts import AmountTerms, AmountType, PayoffRule
from domain.drafting import (
    NO_INSTRUMENT,
    NOTHING_LEFT,
    PAID_OFF,
    Ahead,
    Authorization,
    Drafting,
    Prospect,
    Source,
    decide_draft,
    expected,
    preview,
)
from domain.events import ChargedFee, ChargedOff, FeeCharged
from domain.flags import LoanFlag
from domain.loan import state_hash
from domain.program import ExtraMoney, Frequency, InterestMethod
from domain.replay import replay
from infra.calendar import bank_holidays
from tests.domain.loans import EXAMPLE, LEVEL, disbursed, events, history, under

HOLIDAYS = bank_holidays()
BEGINS = date(2020, 9, 9)
DUE = date(2020, 10, 9)
CHECKING, SAVINGS = UUID(int=101), UUID(int=102)
LOAN = Prospect(EXAMPLE, (disbursed(),))
DUES = due_dates(Frequency.MONTHLY, DUE, 36)


def autopay(
    number: int = 1, kind: AmountType = AmountType.NEXT_DUE, amount: int | None = None, **others: Any
) -> Authorization:
    cadence = Cadence(DraftFrequency.DUE_DATES, BEGINS)
    plain = Authorization(UUID(int=number), cadence, AmountTerms(kind, amount), (Source(CHECKING, None),), DUE)
    return replace(plain, **others)


def recurring(number: int, amount: int, first: date, frequency: DraftFrequency = DraftFrequency.MONTHLY) -> Authorization:
    cadence = Cadence(frequency, first)
    return autopay(number, AmountType.STATIC, amount, cadence=cadence, next_process_date=first, recurring=True)


def amounts(loan: Prospect, *every: Authorization, of: int = 1, count: int = 12) -> list[int]:
    return [draft.amount for draft in preview(loan, every, UUID(int=of), BEGINS, HOLIDAYS, count).drafts]


@pytest.mark.parametrize("rule", PayoffRule)
def test_thirty_six_dues_are_previewed_to_the_payoff_with_the_odd_final_amount(rule: PayoffRule) -> None:
    amounts = AmountTerms(AmountType.NEXT_DUE, payoff_rule=rule)
    outlook = preview(LOAN, [autopay(amounts=amounts)], UUID(int=1), BEGINS, HOLIDAYS, count=50)
    assert [draft.amount for draft in outlook.drafts] == [LEVEL] * 35 + [29686]
    assert [draft.apply_date for draft in outlook.drafts] == DUES
    assert [draft.process_date for draft in outlook.drafts] == [next_banking_day(due, HOLIDAYS) for due in DUES]
    assert {draft.instrument_id for draft in outlook.drafts} == {CHECKING}
    assert outlook.end_reason == PAID_OFF


def test_a_preview_ends_where_the_dates_end() -> None:
    ending = autopay(cadence=Cadence(DraftFrequency.DUE_DATES, BEGINS, end=date(2020, 12, 8)))
    outlook = preview(LOAN, [ending], UUID(int=1), BEGINS, HOLIDAYS)
    assert (len(outlook.drafts), outlook.end_reason) == (2, "the end date 2020-12-08 is reached")
    twice = autopay(cadence=Cadence(DraftFrequency.DUE_DATES, BEGINS, periods=3))
    outlook = preview(LOAN, [twice], UUID(int=1), BEGINS, HOLIDAYS)
    assert (len(outlook.drafts), outlook.end_reason) == (3, NOTHING_LEFT)


@pytest.mark.parametrize("first_to_look", [1, 2])
def test_a_fixed_amount_of_the_same_day_comes_first_whoever_looks_first(first_to_look: int) -> None:
    """The autopay takes what the fixed amount leaves due, also when that is not decided yet."""
    fixed, following = recurring(2, 10000, DUE), autopay(1)
    if first_to_look == 1:
        ahead = expected(LOAN, [Ahead(fixed, DUE)], following, DUE, DUE, HOLIDAYS)
        assert decide_draft(ahead, following, DUE, DUE, HOLIDAYS).amount == LEVEL - 10000
        assert expected(LOAN, [Ahead(following, DUE)], fixed, DUE, DUE, HOLIDAYS) is LOAN
        prepared = expected(LOAN, [Ahead(fixed, DUE, 7000)], following, DUE, DUE, HOLIDAYS)
        assert decide_draft(prepared, following, DUE, DUE, HOLIDAYS).amount == LEVEL - 7000
    assert amounts(LOAN, following, fixed, of=1, count=1) == [LEVEL - 10000]
    assert amounts(LOAN, following, fixed, of=2, count=1) == [10000]


def test_a_draft_that_goes_out_late_leaves_the_fee_of_the_next_instalment_to_that_one() -> None:
    """2021-01-09 is a Saturday: its draft goes out on Monday, when the next instalment is the one to come."""
    loan = Prospect(under(instalment_fee=250), (disbursed(),))
    assert amounts(loan, autopay(), count=6) == [LEVEL + 250] * 6


def test_what_others_draft_between_is_in_the_preview() -> None:
    fixed = recurring(2, 20000, date(2020, 10, 2))
    assert amounts(LOAN, autopay(1), fixed, of=1, count=3) == [LEVEL - 20000] * 3
    assert amounts(LOAN, autopay(1), fixed, of=2, count=3) == [20000] * 3


def test_weekly_what_is_due_is_drafted_once_a_period() -> None:
    """The first week takes the instalment of its period, the others find nothing; nothing runs ahead."""
    weekly = autopay(cadence=Cadence(DraftFrequency.WEEKLY, date(2020, 9, 11)), next_process_date=date(2020, 9, 11))
    outlook = preview(LOAN, [weekly], UUID(int=1), BEGINS, HOLIDAYS, count=9)
    assert [draft.amount for draft in outlook.drafts] == [LEVEL, 0, 0, 0, 0, LEVEL, 0, 0, 0]
    assert {draft.reason for draft in outlook.drafts if not draft.amount} == {"nothing is due"}


def test_the_first_account_that_can_be_drafted_is_taken() -> None:
    both = (Source(CHECKING, "the verification of the account has failed"), Source(SAVINGS, None))
    assert decide_draft(LOAN, autopay(sources=both), DUE, DUE, HOLIDAYS).instrument_id == SAVINGS
    neither = (both[0], Source(SAVINGS, "the payment instrument was removed"))
    draft = decide_draft(LOAN, autopay(sources=neither), DUE, DUE, HOLIDAYS)
    assert (draft.amount, draft.instrument_id, draft.reason) == (0, None, "the verification of the account has failed")
    assert decide_draft(LOAN, autopay(sources=()), DUE, DUE, HOLIDAYS).reason == NO_INSTRUMENT


def test_a_draft_that_went_out_late_counts_on_its_due_date_or_on_the_day_it_was_processed() -> None:
    late = date(2021, 1, 11)  # the 9th is a Saturday
    paid = replace(LOAN, events=tuple(events(*((due, LEVEL) for due in DUES[:3]))))
    draft = decide_draft(paid, autopay(), late, late, HOLIDAYS)
    assert (draft.amount, draft.apply_date, draft.effective_date) == (LEVEL, date(2021, 1, 9), date(2021, 1, 9))
    moved = decide_draft(paid, autopay(on_process_date=True), late, late, HOLIDAYS)
    assert (moved.amount, moved.apply_date, moved.effective_date) == (LEVEL, date(2021, 1, 9), late)


def test_the_payoff_rule_says_whether_the_last_of_a_fixed_amount_goes_out() -> None:
    ahead = replace(LOAN, events=tuple(events((DUE, 900_000))))
    capped = preview(ahead, [autopay(1, AmountType.STATIC, 90_000)], UUID(int=1), DUE, HOLIDAYS)
    assert capped.end_reason == PAID_OFF
    assert capped.drafts[0].amount == 90_000
    assert 0 < capped.drafts[-1].amount < 90_000
    stops = AmountTerms(AmountType.STATIC, 90_000, PayoffRule.DO_NOT_PROCESS)
    stopped = preview(ahead, [autopay(1, amounts=stops)], UUID(int=1), DUE, HOLIDAYS)
    assert [draft.amount for draft in stopped.drafts[:3]] == [90_000, 0, 0]
    assert stopped.drafts[1].reason == "it is more than what pays the loan off, and such a draft is not to be processed"


@pytest.mark.parametrize("rule", PayoffRule)
def test_money_that_waits_for_the_next_due_date_is_not_drafted_again(rule: PayoffRule) -> None:
    """What is kept unapplied pays the loan too: all that is drafted never comes to more than the loan ever cost."""
    weekly = Cadence(DraftFrequency.WEEKLY, BEGINS + timedelta(days=1))
    amounts = AmountTerms(AmountType.STATIC, 400_000, payoff_rule=rule)
    waits = autopay(
        amounts=amounts, cadence=weekly, next_process_date=weekly.start, extra=ExtraMoney.UNAPPLIED, recurring=True
    )
    drafts = preview(LOAN, [waits], UUID(int=1), BEGINS, HOLIDAYS).drafts
    first, second, third, *others = [draft.amount for draft in drafts]
    assert (first, second) == (400_000, 400_000)
    assert sum([first, second, third, *others]) <= 35 * LEVEL + 29686
    assert third == (0 if rule is PayoffRule.DO_NOT_PROCESS else pytest.approx(200_000, abs=5_000))


def test_a_loan_that_is_not_active_is_not_drafted() -> None:
    charged_off = replace(LOAN, events=tuple(history((date(2020, 10, 1), ChargedOff("default")))))
    assert decide_draft(charged_off, autopay(), DUE, DUE, HOLIDAYS).reason == "the loan is charged_off"
    paid_off = replace(LOAN, events=tuple(events((date(2020, 9, 10), 2_000_000))))
    assert decide_draft(paid_off, autopay(), DUE, DUE, HOLIDAYS).reason == "the loan is paid_off"
    outlook = preview(paid_off, [autopay()], UUID(int=1), date(2020, 9, 11), HOLIDAYS)
    assert (outlook.drafts, outlook.end_reason) == ((), PAID_OFF)


@pytest.mark.parametrize("flags", [{LoanFlag.FRAUD}, {LoanFlag.FRAUD, LoanFlag.BANKRUPTCY}, set(LoanFlag)])
def test_a_loan_that_is_flagged_is_not_drafted_and_what_comes_in_changes_nothing_about_it(flags: set[LoanFlag]) -> None:
    flagged = replace(LOAN, flags=frozenset(flags))
    told = ", ".join(sorted(flags - {LoanFlag.FRAUD}))
    said = f"the loan is flagged {told}" if told else "the loan is under review"
    found = decide_draft(flagged, autopay(sources=()), DUE, DUE, HOLIDAYS)
    assert (found.amount, found.instrument_id, found.reason) == (0, None, said)
    paid = flagged.with_draft(Drafting(DUE, DUE, DUE, 100))
    assert {draft.reason for draft in preview(paid, [autopay()], UUID(int=1), BEGINS, HOLIDAYS).drafts} == {said}


def test_money_in_transit_is_never_drafted_again() -> None:
    promised = replace(LOAN, in_transit=LEVEL)
    assert decide_draft(promised, autopay(), DUE, DUE, HOLIDAYS).reason == "what is due is already in transit"
    part = replace(LOAN, in_transit=10000)
    assert decide_draft(part, autopay(), DUE, DUE, HOLIDAYS).amount == LEVEL - 10000


@pytest.mark.parametrize("method", [InterestMethod.SCHEDULED, InterestMethod.SIMPLE_DAILY, InterestMethod.RECALCULATED])
@pytest.mark.parametrize("extra", [None, ExtraMoney.UNAPPLIED])
def test_a_prospect_that_goes_forward_is_the_replay_of_each_day(method: InterestMethod, extra: ExtraMoney | None) -> None:
    """Also when it is asked for an earlier day, and when a draft counts on one: a weekend moves every third."""
    terms = under(interest_method=method, instalment_fee=100)
    known = tuple(history((date(2020, 10, 20), FeeCharged("f", ChargedFee.OTHER, 500)), terms=terms))
    loan, day = Prospect(terms, known), date(2020, 9, 20)
    for number in range(16):
        day += timedelta(days=23)
        effective = day - timedelta(days=number % 3)
        for asked in (day, effective, day):
            assert state_hash(loan.state(asked)) == state_hash(replay(terms, loan.events, asked).state)
        loan = loan.with_draft(Drafting(day, effective, effective, 9_000 * (number % 5), extra=extra))
        assert state_hash(loan.state(day)) == state_hash(replay(terms, loan.events, day).state)
