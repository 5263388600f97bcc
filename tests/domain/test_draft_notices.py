"""Which draft a borrower is told of beforehand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from domain.cadence import Cadence, DraftFrequency
from domain.draft_amounts import AmountTerms, AmountType
from domain.draft_notices import Stored, StoredInstalment, agreed, may_be_told, to_notify
from domain.drafting import Drafting
from domain.loan import LoanStatus
from domain.program import InterestMethod, LateFee, LateFeeKind, Program

TODAY = date(2020, 9, 25)


def drafts(*said: tuple[int, int]) -> list[Drafting]:
    """Drafts by how many days ahead they go out, and their amounts."""
    return [
        Drafting(on, on, on, amount) for on, amount in ((TODAY + timedelta(days=ahead), amount) for ahead, amount in said)
    ]


@pytest.mark.parametrize(
    ("said", "notified", "told"),
    [
        pytest.param([(14, 110)], [], 14, id="another amount, at the earliest"),
        pytest.param([(10, 90)], [], 10, id="another amount, on the last day"),
        pytest.param([(15, 110)], [], None, id="too early"),
        pytest.param([(9, 110)], [], None, id="too late"),
        pytest.param([(12, 100)], [], None, id="the same amount"),
        pytest.param([(12, 110)], [(12, 110)], None, id="told already"),
        pytest.param([(12, 120)], [(12, 110)], 12, id="told of another amount"),
        pytest.param([(12, 100)], [(12, 110)], 12, id="told of another amount, and it is that of the one before again"),
        pytest.param([(12, 0)], [(12, 110)], None, id="told of an amount, and nothing is drafted"),
        pytest.param([(9, 120)], [(9, 110)], None, id="told of another amount, and too late to say so"),
        pytest.param([(12, 0)], [], None, id="nothing is drafted"),
        pytest.param([(12, 110)], [(5, 110)], 12, id="told of an earlier one"),
        pytest.param([(7, 110), (14, 110)], [], None, id="weekly: the same as the one to come before it"),
        pytest.param([(7, 110), (14, 100)], [], 14, id="weekly: another than the one to come before it"),
        pytest.param([(4, 0), (11, 110)], [], 11, id="compared with what was drafted, not with what was left out"),
        pytest.param([(10, 110), (13, 120)], [(10, 110)], 13, id="the next one of two in the window"),
        pytest.param([(10, 110), (13, 110)], [(10, 110)], None, id="the second is the same as the first"),
    ],
)
def test_the_draft_that_is_told_of(said: list[tuple[int, int]], notified: list[tuple[int, int]], told: int | None) -> None:
    already = {TODAY + timedelta(days=ahead): amount for ahead, amount in notified}
    found = to_notify(drafts(*said), 100, TODAY, already)
    assert (found and found.process_date) == (None if told is None else TODAY + timedelta(days=told))


@pytest.mark.parametrize(
    ("terms", "amount"), [(AmountTerms(AmountType.STATIC, 75), 75), (AmountTerms(AmountType.NEXT_DUE, None), 100)]
)
def test_the_first_draft_is_compared_with_what_was_agreed_to(terms: AmountTerms, amount: int) -> None:
    assert agreed(terms, 100) == amount


DUE = TODAY + timedelta(days=12)
ROW = StoredInstalment(2, DUE, 70, 100, 100, settled=False)
NEXT = StoredInstalment(3, DUE + timedelta(days=30), 70, 100, 100, settled=False)
BEFORE = StoredInstalment(1, DUE - timedelta(days=30), 70, 100, 0, settled=True)
PLAIN = Stored(
    cadence=Cadence(DraftFrequency.DUE_DATES, TODAY - timedelta(days=60)),
    amounts=AmountTerms(AmountType.NEXT_DUE),
    on_process_date=False,
    next_process_date=DUE,
    before=100,
    told={},
    status=LoanStatus.ACTIVE,
    program=Program(late_fee=LateFee(LateFeeKind.FLAT, flat=5)),
    payoff=10_000,
    other_money=False,
    unusual=False,
    instalments=[BEFORE, ROW, NEXT],
    last_number=12,
)
"""What is stored of a loan whose next draft takes what the one before took."""
WEEKLY = Cadence(DraftFrequency.WEEKLY, DUE - timedelta(days=7))
FIXED = AmountTerms(AmountType.STATIC, 100)
OTHER_IF_DUE = AmountTerms(AmountType.STATIC, 90, when_nothing_due=False)


def ahead(days: int, **changes: Any) -> Stored:
    """So many days later a draft goes out than its instalment falls due, which is as many days earlier."""
    due = DUE - timedelta(days=days)
    cadence = replace(PLAIN.cadence, days_after=days)
    return replace(PLAIN, cadence=cadence, instalments=[BEFORE, ROW._replace(due_date=due), NEXT], **changes)


def by_day(**changes: Any) -> Stored:
    return replace(PLAIN, program=replace(PLAIN.program, interest_method=InterestMethod.SIMPLE_DAILY), **changes)


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(PLAIN, id="as before"),
        pytest.param(replace(PLAIN, before=90, told={DUE: 100}), id="told already"),
        pytest.param(replace(PLAIN, before=90, status=LoanStatus.PAID_OFF), id="nothing is drafted any more"),
        pytest.param(replace(PLAIN, before=90, next_process_date=NEXT.due_date), id="none in the window"),
        pytest.param(replace(PLAIN, amounts=FIXED, other_money=True), id="a fixed amount, whatever else is owed"),
        pytest.param(replace(PLAIN, instalments=[BEFORE, ROW._replace(open=0, settled=True), NEXT]), id="paid ahead"),
        pytest.param(replace(PLAIN, cadence=WEEKLY, next_process_date=DUE - timedelta(days=7)), id="weekly"),
        pytest.param(ahead(6), id="within the grace days"),
        pytest.param(by_day(), id="by day"),
    ],
)
def test_where_what_is_stored_shows_that_nothing_varies_no_replay_is_asked(stored: Stored) -> None:
    assert not may_be_told(stored, TODAY, frozenset())


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(replace(PLAIN, before=90), id="another amount than before"),
        pytest.param(replace(PLAIN, told={DUE: 110}), id="another amount than told"),
        pytest.param(replace(PLAIN, told={DUE: 100}, other_money=True), id="fees, or unapplied money, since it was told"),
        pytest.param(replace(PLAIN, other_money=True), id="fees, or unapplied money"),
        pytest.param(replace(PLAIN, unusual=True), id="something is under way"),
        pytest.param(replace(PLAIN, next_process_date=TODAY - timedelta(days=1)), id="a draft is behind"),
        pytest.param(replace(PLAIN, last_number=3), id="one of the last two instalments"),
        pytest.param(replace(PLAIN, payoff=199), id="not much more than pays it off"),
        pytest.param(replace(PLAIN, before=60, instalments=[BEFORE, ROW._replace(open=60), NEXT]), id="paid in part"),
        pytest.param(
            replace(PLAIN, before=200, program=Program(), instalments=[BEFORE._replace(open=100, settled=False), ROW, NEXT]),
            id="an earlier one is open too",
        ),
        pytest.param(replace(PLAIN, amounts=AmountTerms(AmountType.PAST_DUE)), id="what is past due"),
        pytest.param(replace(PLAIN, amounts=replace(FIXED, amount=90)), id="another fixed amount"),
        pytest.param(
            replace(PLAIN, cadence=WEEKLY, amounts=OTHER_IF_DUE, next_process_date=TODAY),
            id="another fixed amount, and who knows which draft is its first",
        ),
        pytest.param(ahead(12), id="so late that it bears a fee"),
        pytest.param(by_day(instalments=[BEFORE, ROW._replace(principal=0), NEXT]), id="by day, and interest only"),
        pytest.param(by_day(cadence=WEEKLY, next_process_date=DUE - timedelta(days=7)), id="by day, and before it is due"),
    ],
)
def test_anything_else_is_for_a_replay_to_say(stored: Stored) -> None:
    assert may_be_told(stored, TODAY, frozenset())
