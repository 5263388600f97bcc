"""Making the repayment periods of a `recalculated` loan: when it begins, also otherwise than its plan, and when a
modification gives it another one. Days are proleptic ordinals, money is `int` minor units."""

from __future__ import annotations

from collections.abc import Sequence

from domain.repayment_period import Period, Span
from domain.repayment_periods import RepaymentPeriods, Weigh
from domain.rounding import Rounding


def begun(
    starts: Sequence[int], dues: Sequence[int], payments: Sequence[int], lent: int, weigh: Weigh, rounding: Rounding
) -> RepaymentPeriods:
    """Periods from starts[0] on in which `lent` is repaid by `payments`; the last one settles."""
    made = [
        Period(start, due, payment, payment, [Span(start, due, weigh(index, start))])
        for index, (start, due, payment) in enumerate(zip(starts, dues, payments, strict=True))
    ]
    made[0].spans[0].balance = lent
    periods = RepaymentPeriods(made, lent, weigh, rounding)
    periods.derive_all(starts[0])
    return periods


def lend_on(periods: RepaymentPeriods, day: int) -> None:
    """The principal was paid out on `day` of the first period: it bears nothing before."""
    first = periods.periods[0]
    if day > first.start:
        periods.change(day, first.spans[0].balance)
        first.spans[0].balance = 0
        periods.settle(day)


def bring_interest(periods: RepaymentPeriods, index: int, amount: int) -> None:
    """An instalment has `amount` of interest more (or less) than its days bear with us."""
    period = periods.periods[index]
    period.brought += amount
    period.level += amount
    periods.set_instalment(index, period.instalment + amount)


def keep_deferred(periods: RepaymentPeriods, day: int) -> None:
    """What interest borne to `day` is due with an earlier instalment than its period's stays with it for good, whatever
    becomes of the instalments after it."""
    if not periods.deferring:
        return
    for period in periods.periods:
        if period.passed_on:
            period.passed_on = False
            own = period.borne(day, periods.rounding) + period.carried + period.credited_interest
            period.brought = period.interest - own
        more, period.deferred = period.deferred, 0
        period.brought += more
        period.instalment += more
    periods.deferring = False
    periods.derive_all(day)


def move_forward(periods: RepaymentPeriods, indices: Sequence[int], day: int) -> None:
    """What is not paid of past-due instalments is not due with them any more: their interest is carried to the next one,
    their principal goes on bearing from `day`."""
    owed = [periods.periods[index].principal_owed for index in indices]  # interest carried on changes that of the next
    for index, amount in zip(indices, owed, strict=True):
        period = periods.periods[index]
        periods.set_instalment(index, period.paid - period.credited)
        periods.change(period.due, -amount)
        periods.change(day, amount)


def replan(periods: RepaymentPeriods, planned: list[Period], day: int, stated: set[int]) -> None:
    """Periods that end after `day` become those of `planned` (which has them all), keeping what was paid of them and what
    they bore to `day`, and so does one that ended on it and was moved; one that ends on it takes its payment if that is
    `stated` (indices). One paid ahead stays closed."""
    if day > periods.periods[-1].due:
        periods.brought_to = day  # past due after the last due date, principal bore nothing
    made = []
    for index, new in enumerate(planned):
        old = periods.periods[index] if index < len(periods.periods) else None
        if old is None or max(old.due, new.due) > day:
            if old is not None:
                _take_over(old, new, day)
            made.append(new)
            continue
        if old.due == day and index in stated:
            old.level = new.level
            old.instalment = max(new.instalment, old.paid - old.credited)
        made.append(old)
    periods.periods = made
    periods.changed.clear()
    periods.derive_all(day)


def _take_over(old: Period, new: Period, day: int) -> None:
    """Carry over what was paid of a period, and the spans to `day`, to the one planned in its place."""
    new.principal_paid, new.interest_paid = old.principal_paid, old.interest_paid
    new.credited_principal, new.credited_interest, new.brought = old.credited_principal, old.credited_interest, old.brought
    least = old.paid - old.credited
    new.instalment = least if least and not old.open else max(new.instalment, least)
    if old.start < day:
        borne = [span for span in old.spans if span.start < day]
        borne[-1].end = min(borne[-1].end, day)
        to_come = [span for span in new.spans if span.end > day]
        to_come[0].start = max(to_come[0].start, day)
        new.spans = borne + to_come
    else:
        new.spans[0].balance = old.spans[0].balance
