"""Interest method `recalculated`: instalments are kept, interest follows the actual principal.

Early money lowers the interest from its day on and late principal goes on bearing, and the last open instalment takes
the difference. How the periods bear interest is in domain/repayment_periods.py; here is how money is put to them.

Money pays what is due, oldest instalment first, then instalments to come in the program's order of advance: of the
current one the interest accrued to the day and the rest as principal, of a later one its payment as principal.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from datetime import date
from fractions import Fraction
from typing import Final

from domain.allocation import by_instalment, due_claims, pay_claims
from domain.amortization import Row, amortize, level_payment_for_factors
from domain.daycount import year_ratio
from domain.loan import AllocationLine, LoanStatus, PayoffQuote
from domain.plan import Plan, contract
from domain.program import (
    AdvanceOrder,
    AllocationScope,
    ChargeOffInterest,
    Component,
    DayCount,
    ExtraMoney,
    PeriodInterest,
    Smoothing,
)
from domain.remaking import level_payment_of_rest
from domain.repayment_period import Period, Span
from domain.repayment_periods import RepaymentPeriods
from domain.replanning import begun, bring_interest, keep_deferred, lend_on, move_forward, replan
from domain.working import Book, OpenRow

_BY_CALENDAR_YEAR: Final = {
    DayCount.ACT_ACT_ISDA: DayCount.ACT_ACT_ISDA,
    DayCount.ACT_ACT_DEC31: DayCount.ACT_ACT_DEC31,
    DayCount.ACT_ACT_FEB29: DayCount.ACT_ACT_DEC31,
}
"""How a part of a period that holds a year's end counts; by ACT/ACT FEB29 only where it holds a 29 February too."""

DAYS_OF_ANY_YEAR: Final = 365
"""By ACT/ACT FEB29 the days of a year in a period without a 29 February."""


class Recalculated:
    """The rules of the method, and the periods of one replay. `_first`: number of the first instalment - 1. `_day`: the one
    to which the money that is being put somewhere pays interest."""

    __slots__ = ("_day", "_first", "_periods")

    _periods: RepaymentPeriods

    def __init__(self) -> None:
        self._first = self._day = 0

    def open(self, book: Book, first: int, on: date) -> None:
        self._first = first
        self._periods = _periods_of(book, first)
        book.rows = [OpenRow(first + 1 + i, _day(p.due), _day(p.start), 0, 0) for i, p in enumerate(self._periods.periods)]
        if first == 0 and not book.brought_interest and on < book.plan.due_dates[0]:
            lend_on(self._periods, on.toordinal())
            self.bring(book, on)
        else:
            self.bring(book, on)
            self._place_brought_interest(book, on)
        self._show(book)

    def bring(self, book: Book, on: date) -> None:
        rows = book.rows
        while book.current < len(rows) and rows[book.current].due_date <= on:
            book.current += 1
        if book.terms.program.past_due_interest:
            self._periods.bear_past_due(on.toordinal())
        else:
            self._periods.bring(on.toordinal())
        self._show(book)

    def foresee(self, book: Book, on: date) -> None:
        self.bring(book, on)
        self._periods.settle(on.toordinal())
        self._show(book)

    def seen(self, book: Book, on: date) -> Book:
        self.bring(book, on)
        seen, method = copy(book), Recalculated()
        seen.rows, seen.method = [row.copy() for row in book.rows], method
        method._first, method._periods = self._first, self._periods.copy()
        method.foresee(seen, on)
        return seen

    def earned(self, book: Book, on: date) -> int:
        """The interest of the instalments due, and of the current period what has accrued, or what was paid of it and of
        later ones where that is more: a later instalment may have paid the interest carried from this one."""
        self.bring(book, on)
        periods = self._periods.periods
        total = sum(period.interest for period in periods[: book.current])
        if book.current < len(periods):
            borne = self._periods.interest_to(book.current, on.toordinal())
            total += max(borne, sum(period.interest_paid for period in periods[book.current :]))
        return total

    def pay(self, book: Book, amount: int, on: date, lines: list[AllocationLine], advance: AdvanceOrder) -> int:
        self.bring(book, on)
        program = book.terms.program
        self._day = max(self._day, on.toordinal())  # it is ahead where money of the same day was
        if (program.instalment_fee or program.payoff_counts_today) and amount >= book.principal_balance:
            if amount >= self.payoff(book, on).total:
                # instalments that are not made bear no fee
                book.own_fee_numbers.update(row.number for row in book.rows[book.current :])
            if program.payoff_counts_today and amount >= self._payoff_to(book, on, on.toordinal()).total:
                # today's interest too, as was quoted: else what is short of the quote by it would pay off
                self._day = on.toordinal() + 1
                if program.past_due_interest:
                    self._periods.bear_past_due(self._day)
        rest = self._pay_due(book, amount, on, lines)
        rest = self._pay_ahead(book, rest, on, lines, advance)
        if not book.principal_balance:
            self._periods.settle(self._day)
        self._show(book, on)
        if not (book.principal_balance or book.fees_balance or any(row.unpaid for row in book.rows)):
            book.status, book.paid_off_on = LoanStatus.PAID_OFF, on
            for row in book.rows:
                row.paid_on = row.paid_on or on
        return rest

    def payoff(self, book: Book, on: date) -> PayoffQuote:
        """Principal, interest accrued to the day (today's too where the program counts it) and fees."""
        return self._payoff_to(book, on, on.toordinal() + book.terms.program.payoff_counts_today)

    def per_diem(self, book: Book, on: date) -> Fraction:
        """What the principal that bears interest bears on the day after `on`; nothing after the last due date."""
        index = next((i for i, row in enumerate(book.rows) if row.due_date > on), None)
        if index is None:
            return Fraction(0)
        bearing = book.principal_balance
        if not book.terms.program.past_due_interest:
            bearing -= sum(row.principal - row.principal_paid for row in book.rows[:index])
        return bearing * Fraction(*self._periods.weigh(index, max(on, book.rows[index].period_start).toordinal()))

    def remake(self, book: Book, on: date) -> None:
        """Periods that end after `on`, and the instalments of those due then for which a payment is stated, are made
        anew; what was paid of them stays. What a modification took from past-due instalments is bearing as before."""
        keep_deferred(self._periods, on.toordinal())
        past = zip(book.rows[: book.current], self._periods.periods, strict=False)
        moved = [index for index, (row, period) in enumerate(past) if row.deferred and not row.unpaid and period.open]
        move_forward(self._periods, moved, on.toordinal())
        stated = {number - 1 - self._first for number in book.plan.stated}
        replan(self._periods, self._planned(book), on.toordinal(), stated)
        book.moved_interest = 0
        numbers = range(self._first + 1, len(book.plan.due_dates) + 1)
        held = {row.number: row for row in book.rows}
        book.rows = [held.get(number) or OpenRow(number, on, on, 0, 0) for number in numbers]
        for row, period in zip(book.rows, self._periods.periods, strict=True):
            row.due_date, row.period_start = _day(period.due), _day(period.start)
            row.deferred = row.deferred or book.plan.stated.get(row.number) == 0
        book.current = sum(row.due_date <= on for row in book.rows)
        self._show(book)

    def level_payment(self, book: Book, plan: Plan, on: date) -> int:
        return level_payment_of_rest(book, plan, on)

    def waive_interest(self, book: Book, amount: int, on: date) -> int:
        self.bring(book, on)
        left, day = amount, on.toordinal()
        for index in range(min(book.current + 1, len(book.rows))):
            if index < book.current:
                period = self._periods.periods[index]
                owed = period.interest - period.interest_paid
            else:
                owed = self._periods.interest_to(index, day) - self._periods.periods[index].interest_paid
            waived = min(left, max(0, owed))
            if waived:
                self._periods.pay_interest(index, day, waived)
                book.interest_paid += waived
                book.rows[index].interest_waived += waived
                left -= waived
        self._show(book, on)
        return amount - left

    def charge_off(self, book: Book, on: date) -> None:
        """Where interest stops, instalments to come are their principal, and the current one bears to `on`."""
        self.foresee(book, on)
        if book.terms.program.charge_off_interest is ChargeOffInterest.STOP:
            self._periods.end_interest(on.toordinal())
        self._show(book)

    def chargeback(self, book: Book, principal: int, interest: int, on: date) -> None:
        self.bring(book, on)
        book.pay_principal(-principal, on)
        day = on.toordinal()  # until money of the same day counts, what it paid is bearing still
        self._periods.credit(day, principal, interest, max(self._day, day))
        self._show(book)

    def _payoff_to(self, book: Book, on: date, day: int) -> PayoffQuote:
        """The payoff on `on` with interest to `day`. Changes nothing."""
        program, periods = book.terms.program, self._periods.copy()
        if program.past_due_interest:
            periods.bear_past_due(day)
        interest = periods.at(day).interest - sum(period.interest_paid for period in periods.periods)
        principal, fees = book.principal_balance, book.fees_balance
        return PayoffQuote(principal, interest, fees, principal + interest + fees, self.per_diem(book, on))

    def _pay_due(self, book: Book, rest: int, on: date, lines: list[AllocationLine]) -> int:
        """Pay the instalments due: one after the other, or component by component, as the program says."""
        due = range(min(book.first_open, book.current), book.current)
        if book.terms.program.allocation_scope is AllocationScope.INSTALMENT:
            known = {book.rows[index].number for index in due}
            earlier = [fee for fee in book.open_fees if fee.instalment_number not in known and fee.due_date <= on]
            last = book.rows[book.current - 1].number if book.current else 0
            earlier = [fee for fee in earlier if fee.instalment_number <= last]
            rest = pay_claims(book, by_instalment(book, [], earlier), rest, on, lines)
            for index in due:
                rest = self._pay_instalment(book, index, rest, on, lines)
            return rest
        for component in book.terms.program.allocation_order:
            if component in (Component.INTEREST, Component.PRINCIPAL):
                for index in due:
                    rest = self._pay_part(book, index, component, rest, on, lines)
            else:
                fees = [claim for claim in due_claims(book, [book.rows[i] for i in due]) if claim[0] is component]
                rest = pay_claims(book, fees, rest, on, lines)
        return rest

    def _pay_ahead(self, book: Book, rest: int, on: date, lines: list[AllocationLine], advance: AdvanceOrder) -> int:
        """Pay instalments to come: in the order of advance, or the current one and then what the program says of extra
        money, which as `principal_only` goes to the last instalments. Returns what stays unapplied."""
        later = range(book.current, len(book.rows))
        order: Sequence[int] = later
        match book.extra_money:
            case ExtraMoney.ADVANCE_DUE:
                order = later if advance is AdvanceOrder.NEXT else later[::-1]
            case ExtraMoney.PRINCIPAL_ONLY:
                order = [*later[:1], *later[:0:-1]]
            case ExtraMoney.UNAPPLIED:
                order = later if rest >= self.payoff(book, on).total else later[:1]
        for index in [*order, *order]:  # again: the last one left open takes all there is
            if not rest:
                break
            period = self._periods.periods[index]
            if period.open or not period.principal + period.interest or self._fees_of(book, index):
                rest = self._pay_instalment(book, index, rest, on, lines)
        return rest

    def _fees_of(self, book: Book, index: int) -> bool:
        row = book.rows[index]
        return any(fee.instalment_number == row.number for fee in book.open_fees)

    def _pay_instalment(self, book: Book, index: int, rest: int, on: date, lines: list[AllocationLine]) -> int:
        row = book.rows[index]
        fees = [fee for fee in book.open_fees if fee.instalment_number == row.number]
        for component in book.terms.program.allocation_order:
            if component in (Component.INTEREST, Component.PRINCIPAL):
                rest = self._pay_part(book, index, component, rest, on, lines)
            else:
                claims = [claim for claim in by_instalment(book, [row], fees) if claim[0] is component]
                rest = pay_claims(book, claims, rest, on, lines)
        return rest

    def _pay_part(
        self, book: Book, index: int, component: Component, rest: int, on: date, lines: list[AllocationLine]
    ) -> int:
        """Pay the interest or the principal of an instalment as far as `rest` goes; returns what is left."""
        if not rest:
            return 0
        period, row, day = self._periods.periods[index], book.rows[index], self._day
        principal, interest = period.principal, period.interest
        if index >= book.current:
            principal, interest = self._periods.payable(index, day)
        if component is Component.INTEREST:
            amount = max(0, min(rest, interest - period.interest_paid))
            if amount:
                self._periods.pay_interest(index, day, amount)
                book.interest_paid += amount
        else:
            amount = max(0, min(rest, principal - period.principal_paid, book.principal_balance))
            if amount:
                self._periods.pay_principal(index, day, amount)
                book.pay_principal(amount, on, row.due_date)
        if amount:
            lines.append(AllocationLine(component, amount, row.number))
        return rest - amount

    def _show(self, book: Book, paid_on: date | None = None) -> None:
        """Make the rows what the periods that changed are. `paid_on`: the day of the money that may have paid them."""
        periods = self._periods
        for index in sorted(periods.changed):
            period, row = periods.periods[index], book.rows[index]
            row.principal, row.interest, row.opening = period.principal, period.interest, period.spans[0].balance
            row.principal_paid, row.interest_paid = period.principal_paid, period.interest_paid
            if row.unpaid:
                row.paid_on = None
                book.first_open = min(book.first_open, index)
            elif row.principal_paid or row.interest_paid:
                row.paid_on = row.paid_on or paid_on or book.last_payment_date
        periods.changed.clear()
        book.skip_paid()

    def _place_brought_interest(self, book: Book, on: date) -> None:
        """Make interest earned and unpaid at boarding what was brought in, oldest instalments first."""
        periods, day = self._periods, on.toordinal()
        keep_deferred(periods, day)
        parts = [period.interest for period in periods.periods[: book.current]]
        if book.current < len(periods.periods):
            parts.append(periods.interest_to(book.current, day))
        less = sum(parts) - book.brought_interest
        for index, part in enumerate(parts):
            taken = min(part, less)
            bring_interest(periods, index, -taken)
            book.rows[index].prior_interest = taken
            less -= taken
            if less <= 0:
                break
        periods.settle(day)

    def _planned(self, book: Book) -> list[Period]:
        """The periods of the book's plan from the first instalment on, with nothing paid."""
        plan = book.plan
        result = []
        for index in range(self._first, len(plan.due_dates)):
            start, due = plan.starts[index].toordinal(), plan.due_dates[index].toordinal()
            spans = []
            for day, end, _ in book.rates.segments(plan.starts[index], plan.due_dates[index]):
                begin = day.toordinal()
                spans.append(Span(begin, end.toordinal(), self._periods.weigh(index - self._first, begin)))
            payment = plan.payment(index + 1)
            known = index - self._first < len(self._periods.periods)
            if known and index < plan.shape.interest_only and index + 1 not in plan.stated:
                payment = self._periods.periods[index - self._first].level
            result.append(Period(start, due, payment, payment, spans))
        return result


def _periods_of(book: Book, first: int) -> RepaymentPeriods:
    """The periods of a loan that begins with the book's plan and principal."""
    plan, program = book.plan, book.terms.program
    starts = [day.toordinal() for day in plan.starts[first:]]
    dues = [day.toordinal() for day in plan.due_dates[first:]]
    payments = [row.payment for row in _rows(book, first)]
    last = payments.pop()
    payments += [plan.level_payment] * (len(dues) - len(payments))
    if plan.shape.balloon or _is_smoothed(book):
        payments[-1] = last

    def weigh(index: int, day: int) -> tuple[int, int]:
        return _weight(book, first + index, date.fromordinal(day))

    return begun(starts, dues, payments, book.principal_balance, weigh, program.rounding)


def _rows(book: Book, first: int) -> tuple[Row, ...]:
    plan = book.plan
    if first == 0 and book.principal_balance == book.terms.principal and plan == contract(book.terms).plan:
        return contract(book.terms).rows
    return amortize(
        book.principal_balance,
        plan.level_payment,
        plan.factors[first:],
        plan.due_dates[first:],
        rounding=book.terms.program.rounding,
        first_number=first + 1,
        shape=plan.shape,
    )


def _is_smoothed(book: Book) -> bool:
    """Whether the level payment is not the annuity: then the last instalment was made with it, and takes no more."""
    terms, plan = book.terms, book.plan
    if terms.program.smoothing is Smoothing.NONE or terms.level_payment is not None:
        return False
    return level_payment_for_factors(terms.principal, plan.factors, terms.program.rounding) != plan.level_payment


def _weight(book: Book, index: int, day: date) -> tuple[int, int]:
    """Interest of a minor unit a day, from `day` to the due date, at the rate of `day`.

    A part of a period counts its actual days of the period's actual days; where a calendar year counts and the period
    holds a year's end, what is left of it counts by the days in each year.
    """
    plan, program = book.plan, book.terms.program
    start, due = plan.starts[index], plan.due_dates[index]
    if due <= day:
        return 0, 1
    part, days = plan.parts[index], (due - start).days
    if start < day and start.year != due.year and program.period_interest is PeriodInterest.DAY_COUNT:
        convention = _BY_CALENDAR_YEAR.get(program.day_count)
        whole = year_ratio(program.day_count, start, due)
        if convention is not None and whole[1] != DAYS_OF_ANY_YEAR and part == Fraction(*whole):
            part, days = Fraction(*year_ratio(convention, day, due)), (due - day).days
    weight = book.rates.on(day) * part
    return weight.numerator, weight.denominator * days


def _day(ordinal: int) -> date:
    return date.fromordinal(ordinal)
