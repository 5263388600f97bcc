"""Which draft a borrower is told of beforehand, because it takes another amount than the one before (Regulation E, 12 CFR
1005.10(d)(1): amount and date, in writing, at least 10 days ahead). All amounts in minor units.

Most drafts take the same amount as the one before, and for most of these that shows in what is stored of the loan:
`may_be_told` says so, and only where it cannot is the loan replayed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import takewhile
from typing import Final, NamedTuple

from domain.cadence import Cadence, Occurrence, occurrences
from domain.draft_amounts import FOLLOWS_INSTALMENTS, AmountTerms, AmountType
from domain.drafting import Drafting, due_date_of
from domain.loan import LoanStatus
from domain.program import InterestMethod, Program

FEWEST_DAYS: Final = 10
"""So many days before its process date a notice is sent at the latest."""
MOST_DAYS: Final = 14
"""So many days before, at the earliest: late enough that the amount is known, and some days for a mail that does not go."""
DUES_BEFORE: Final = timedelta(days=31)
"""Of the instalments that are settled, those are `Stored` which fell due in so many days."""
_LAST_ONES: Final = 2
"""So many instalments at the end of a schedule take the difference of what comes earlier, later or otherwise."""


def window(today: date) -> tuple[date, date]:
    """The first and the last process date of which a notice may be sent today."""
    return today + timedelta(days=FEWEST_DAYS), today + timedelta(days=MOST_DAYS)


def agreed(amounts: AmountTerms, instalment: int) -> int:
    """The amount a borrower agreed to at enrolment, with which the first draft is compared: the fixed one, else the
    contract's instalment."""
    return amounts.amount if amounts.kind is AmountType.STATIC and amounts.amount is not None else instalment


def to_notify(drafts: Sequence[Drafting], before: int, today: date, told: Mapping[date, int]) -> Drafting | None:
    """The draft of which a notice is sent today: the first of those to come that is in the window and takes another amount
    than its borrower expects, which is the one last `told` of its process date, else the one of the draft before it. None:
    there is none.

    `drafts`: in order, from the next one on; those that take nothing are passed over. `before`: the amount of the last one
    prepared or sent, else the one agreed to. Where drafts follow each other in less than ten days, each is compared with
    the one to come before it.
    """
    first, last = window(today)
    for draft in drafts:
        if not draft.amount:
            continue
        expected = told.get(draft.process_date, before)
        if draft.amount != expected and first <= draft.process_date <= last:
            return draft
        before = draft.amount
    return None


class StoredInstalment(NamedTuple):
    """An instalment as it is stored: what was to be paid of it (principal, interest, and its own fee) and what still is."""

    number: int
    due_date: date
    principal: int
    amount: int
    open: int
    settled: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of an active enrolment and its loan, from which the drafts to come can mostly be told without a replay.

    `before`: the amount of the last draft, else the one agreed to; `told`: what was last told of process dates.
    `payoff`: principal and accrued interest, less what is unapplied. `other_money`: fees are owed, money is unapplied, or
    was not the borrower's. `unusual`: something else goes on than drafts of this enrolment (a payment or draft under way,
    a flag, another enrolment), or the loan was not brought through the day before. `instalments`: in order, those not
    settled up to the first due date from the window's last day on, and the settled ones that fell due not longer ago than
    DUES_BEFORE. `last_number`: of the schedule's last.
    """

    cadence: Cadence
    amounts: AmountTerms
    on_process_date: bool
    next_process_date: date
    before: int
    told: Mapping[date, int]
    status: LoanStatus
    program: Program
    payoff: int
    other_money: bool
    unusual: bool
    instalments: Sequence[StoredInstalment]
    last_number: int


def may_be_told(stored: Stored, today: date, holidays: frozenset[date]) -> bool:
    """Whether a notice may be due today. False only where what is stored shows for certain that `to_notify` finds none among
    the drafts to come; anything out of the ordinary is for a replay to say."""
    first, last = window(today)
    periods = _periods(stored, last, holidays)
    if not any(one.process_date >= first for one in periods) or stored.status is not LoanStatus.ACTIVE:
        return False
    if stored.unusual or stored.next_process_date < today:
        return True
    taken = (
        _fixed(stored, len(periods)) if stored.amounts.kind is AmountType.STATIC else _instalments(stored, periods, today)
    )
    if taken is None or stored.payoff < 2 * sum(taken):
        return True
    drafts = [Drafting(*one, one.apply_date, amount) for one, amount in zip(periods, taken, strict=True)]
    return to_notify(drafts, stored.before, today, stored.told) is not None


def _periods(stored: Stored, last: date, holidays: frozenset[date]) -> list[Occurrence]:
    """The periods to come that go out by `last`: all that draft, and maybe some that turn out not to."""
    cadence, dues = stored.cadence, [row.due_date for row in stored.instalments]
    settled: set[date] = set()
    if cadence.follows_dues:
        cadence = replace(cadence, periods=None)  # which counts all due dates, and not all are here
        if stored.amounts.kind in FOLLOWS_INSTALMENTS:
            settled = {row.due_date for row in stored.instalments if row.settled}
    until = last if cadence.end is None else min(last, cadence.end)
    made = takewhile(lambda one: one.process_date <= until, occurrences(cadence, dues, holidays))
    return [one for one in made if one.process_date >= stored.next_process_date and one.apply_date not in settled]


def _fixed(stored: Stored, count: int) -> list[int] | None:
    """What drafts of a fixed amount take; None where some may be left out and the amount is a new one, so that it is open
    which of them is the first."""
    amount = stored.amounts.amount or 0
    return [amount] * count if stored.amounts.when_nothing_due or amount == stored.before else None


def _instalments(stored: Stored, periods: Sequence[Occurrence], today: date) -> list[int] | None:
    """What drafts take that follow the instalments; None where it is not one instalment each, whole, on time and in the
    middle of the schedule."""
    if stored.amounts.kind not in FOLLOWS_INSTALMENTS or stored.other_money:
        return None
    dues = [row.due_date for row in stored.instalments]
    left = [row for row in stored.instalments if not row.settled]
    result = []
    for one in periods:
        due_date = due_date_of(stored.cadence, dues, one.apply_date)
        taken = [row for row in left if row.due_date <= due_date]
        on = max(one.process_date, today)
        if any(row.due_date != due_date or not _is_plain(stored, row, one, on) for row in taken):
            return None
        left = left[len(taken) :]
        result.append(sum(row.open for row in taken))
    return result


def _is_plain(stored: Stored, row: StoredInstalment, period: Occurrence, on: date) -> bool:
    """Whether an instalment is taken in a period, whose draft goes out `on`, by the amount that is stored."""
    program = stored.program
    if row.open != row.amount or row.number > stored.last_number - _LAST_ONES:
        return False
    if program.late_fee_wait is not None and on >= row.due_date + program.late_fee_wait:
        return False
    if program.interest_method is InterestMethod.SCHEDULED:
        return True
    # by day, or by the actual principal, interest depends on when money comes: the instalment stays while it pays principal
    return row.principal > 0 and row.due_date == (on if stored.on_process_date else period.apply_date)
