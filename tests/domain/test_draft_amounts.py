"""How much an autopay drafts: by each amount type, net of what is in transit, never more than the payoff."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.draft_amounts import (
    IN_TRANSIT,
    MORE_THAN_PAYOFF,
    NOTHING_DUE,
    AmountTerms,
    AmountType,
    Decision,
    PayoffRule,
    check_amount,
    decide,
    owed_through,
    wanted,
)
from domain.errors import InvalidInput
from domain.events import ChargedFee, FeeCharged
from domain.replay import replay
from tests.domain.loans import EXAMPLE, LEVEL, disbursed, events, history

A = AmountType
DUE = AmountTerms(A.NEXT_DUE)
FIXED = AmountTerms(A.STATIC, 35000)
STOPS = AmountTerms(A.STATIC, 35000, PayoffRule.DO_NOT_PROCESS)
ONLY_WHEN_DUE = AmountTerms(A.STATIC, 35000, when_nothing_due=False)


@pytest.mark.parametrize(
    ("terms", "wanted", "due", "payoff", "in_transit", "expected"),
    [
        (DUE, 29747, 29747, 500000, 0, Decision(29747)),
        (DUE, 29747, 29747, 20000, 0, Decision(20000)),  # never more than the payoff
        (DUE, 29747, 29747, 500000, 10000, Decision(19747)),  # net of what is in transit
        (DUE, 29747, 29747, 500000, 29747, Decision(0, IN_TRANSIT)),
        (DUE, 0, 0, 500000, 0, Decision(0, NOTHING_DUE)),
        (FIXED, 35000, 29747, 500000, 0, Decision(35000)),
        (FIXED, 35000, 29747, 30000, 0, Decision(30000)),
        (FIXED, 35000, 29747, 30000, 25000, Decision(5000)),
        (FIXED, 35000, 0, 500000, 0, Decision(35000)),
        (FIXED, 35000, 0, 0, 0, Decision(0, NOTHING_DUE)),  # a zero balance is never drafted
        (FIXED, 35000, 29747, 30000, 30000, Decision(0, IN_TRANSIT)),
        (STOPS, 35000, 29747, 35001, 0, Decision(35000)),
        (STOPS, 35000, 29747, 35000, 0, Decision(35000)),  # exactly what pays it off goes out
        (STOPS, 35000, 29747, 34999, 0, Decision(0, MORE_THAN_PAYOFF)),
        (STOPS, 35000, 29747, 40000, 5001, Decision(0, MORE_THAN_PAYOFF)),
        (ONLY_WHEN_DUE, 35000, 29747, 500000, 0, Decision(35000)),
        (ONLY_WHEN_DUE, 35000, 0, 500000, 0, Decision(0, NOTHING_DUE)),
        (ONLY_WHEN_DUE, 35000, 29747, 500000, 29747, Decision(0, IN_TRANSIT)),
    ],
)
def test_how_much_is_drafted(
    terms: AmountTerms, wanted: int, due: int, payoff: int, in_transit: int, expected: Decision
) -> None:
    assert decide(terms, wanted=wanted, due=due, payoff=payoff, in_transit=in_transit) == expected


@given(
    st.sampled_from(AmountType),
    st.sampled_from(PayoffRule),
    st.booleans(),
    *(st.integers(0, 10**6) for _ in range(4)),
)
def test_never_more_than_the_payoff_less_what_is_in_transit(
    kind: AmountType, rule: PayoffRule, always: bool, wanted: int, due: int, payoff: int, in_transit: int
) -> None:
    terms = AmountTerms(kind, wanted, rule, always)
    decision = decide(terms, wanted=wanted, due=due, payoff=payoff, in_transit=in_transit)
    assert 0 <= decision.amount <= max(0, payoff - in_transit)
    assert (decision.amount == 0) == (decision.reason is not None)


@pytest.mark.parametrize(
    ("as_of", "due", "payments", "expected"),
    [
        (date(2020, 10, 9), date(2020, 10, 9), [], LEVEL),
        (date(2020, 10, 13), date(2020, 10, 9), [], LEVEL),  # drafted late: not the next instalment too
        (date(2020, 10, 9), date(2020, 10, 9), [(date(2020, 10, 1), LEVEL)], 0),
        (date(2020, 11, 9), date(2020, 11, 9), [], 2 * LEVEL + 3000),  # with what is past due, and its late fee
        (date(2020, 12, 15), date(2020, 11, 9), [], 2 * LEVEL + 2 * 3000),
        (date(2020, 10, 1), date(2020, 10, 9), [], LEVEL),  # before it is due
        (date(2020, 10, 12), date(2020, 11, 9), [(date(2020, 10, 9), LEVEL)], LEVEL),
        (date(2020, 10, 12), date(2020, 11, 9), [(date(2020, 10, 9), 2 * LEVEL)], 0),  # not the one after it
    ],
)
def test_what_brings_the_loan_current(as_of: date, due: date, payments: list[tuple[date, int]], expected: int) -> None:
    known = events(*payments) if payments else [disbursed()]
    assert owed_through(replay(EXAMPLE, known, as_of).state, due) == expected


FIRST, SECOND = replay(EXAMPLE, [disbursed()], date(2020, 9, 9)).state.instalments[:2]
LATE_FEE, OTHER_FEE = 3000, 1500


@pytest.mark.parametrize(
    ("kind", "apply_date", "expected"),
    [
        (A.NEXT_DUE, date(2020, 11, 9), 2 * LEVEL + LATE_FEE + OTHER_FEE),
        (A.NEXT_PERIOD, date(2020, 11, 9), LEVEL),
        (A.PAST_DUE, date(2020, 11, 9), LEVEL + LATE_FEE + OTHER_FEE),
        (A.PRINCIPAL_INTEREST_PAST_DUE, date(2020, 11, 9), LEVEL),
        (A.INTEREST_ONLY_PAST_DUE, date(2020, 11, 9), FIRST.interest),
        (A.FEES_DUE, date(2020, 11, 9), LATE_FEE + OTHER_FEE),
        (A.PRINCIPAL_INTEREST_PAST_DUE, date(2020, 11, 10), 2 * LEVEL),  # the day after, the second is past due too
        (A.INTEREST_ONLY_PAST_DUE, date(2020, 11, 10), FIRST.interest + SECOND.interest),
    ],
)
def test_what_each_amount_type_takes_of_a_loan_that_is_behind(kind: AmountType, apply_date: date, expected: int) -> None:
    """The first instalment is unpaid, its late fee assessed, and another fee was charged."""
    known = history((date(2020, 10, 30), FeeCharged("f", ChargedFee.OTHER, OTHER_FEE)))
    state = replay(EXAMPLE, known, date(2020, 11, 10)).state
    assert wanted(AmountTerms(kind), state, apply_date, date(2020, 11, 9)) == expected


@pytest.mark.parametrize("kind", [kind for kind in A if kind is not A.STATIC])
def test_a_loan_that_is_paid_through_the_date_owes_nothing_of_any_type(kind: AmountType) -> None:
    state = replay(EXAMPLE, events((date(2020, 10, 9), LEVEL)), date(2020, 10, 9)).state
    assert wanted(AmountTerms(kind), state, date(2020, 10, 9), date(2020, 10, 9)) == 0


@pytest.mark.parametrize(
    "terms", [AmountTerms(A.STATIC), AmountTerms(A.STATIC, 0), AmountTerms(A.STATIC, -1), AmountTerms(A.PAST_DUE, 100)]
)
def test_an_amount_that_cannot_be_meant_is_refused(terms: AmountTerms) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_amount(terms)
    assert refused.value.errors[0].pointer == "/amount"
