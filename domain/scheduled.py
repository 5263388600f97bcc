"""Interest method `scheduled`: each period bears its interest on its opening contractual balance.

It is earned inside the period by elapsed days of its actual days. Paying late adds none, and paying early saves none
except through curtailment and payoff.
"""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from itertools import chain
from typing import Final

from domain.allocation import by_instalment, due_claims, pay_claims, waive_interest
from domain.amortization import Row, amortize
from domain.loan import AllocationLine, LoanStatus, PayoffQuote
from domain.plan import Plan, contract
from domain.program import AdvanceOrder, Component, ExtraMoney, PayoffInterest
from domain.rates import Rates
from domain.remaking import level_payment_of_rest, remake_rows
from domain.rounding import Rounding, round_minor, round_ratio
from domain.working import Book, OpenRow

DAYS_PER_YEAR: Final = 365


class Scheduled:
    """The rules of the method; all state is in the book."""

    def open(self, book: Book, first: int, on: date) -> None:
        if first == 0 and not book.brought_interest and book.principal_balance == book.terms.principal:
            book.rows = book.open_rows(contract(book.terms).rows)
        else:
            book.rows = book.open_rows(_rows(book, first, book.principal_balance))
            _place_brought_interest(book, on)
        self.bring(book, on)

    def bring(self, book: Book, on: date) -> None:
        rows = book.rows
        while book.current < len(rows) and rows[book.current].due_date <= on:
            book.closed_interest += rows[book.current].interest
            book.current += 1

    def foresee(self, book: Book, on: date) -> None:
        self.bring(book, on)

    def seen(self, book: Book, on: date) -> Book:
        self.bring(book, on)
        return book

    def earned(self, book: Book, on: date) -> int:
        """A period has never earned less than was paid of it, so accrued interest (1110) is never negative."""
        self.bring(book, on)
        total = book.closed_interest
        if book.current < len(book.rows):
            row = book.rows[book.current]
            paid = row.interest_paid + _paid_ahead(book, book.current + 1)
            total += max(accrued_in_period(row, on, book.rates, book.terms.program.rounding), paid)
        return total

    def pay(self, book: Book, amount: int, on: date, lines: list[AllocationLine], advance: AdvanceOrder) -> int:
        """At least the payoff pays the loan off; less pays what is due, then the rest of the current instalment, and
        only then is extra."""
        self.bring(book, on)
        rest, owed = amount, book.principal_balance + book.fees_balance
        may_pay_off = amount + _paid_early(book) >= owed
        if may_pay_off and amount >= owed + (interest := _payoff_interest(book, on)):
            return _pay_off(book, interest, rest, on, lines)
        if book.open_fees or book.first_open < book.current:
            rest = pay_claims(book, due_claims(book, book.rows[book.first_open : book.current]), rest, on, lines)
        if rest and book.current < len(book.rows):
            rest = pay_claims(book, by_instalment(book, [book.rows[book.current]], []), rest, on, lines)
            if rest:
                rest = _extra(book, rest, on, lines, advance)
            owed = book.principal_balance + book.fees_balance
            if may_pay_off and 0 < owed <= _paid_early(book) and not owed + (interest := _payoff_interest(book, on)):
                rest = _pay_off(book, interest, rest, on, lines)
        if not book.principal_balance and not _payoff_interest(book, on) + book.fees_balance:
            _close(book, on)
        return rest

    def payoff(self, book: Book, on: date) -> PayoffQuote:
        """Principal, unpaid interest of the instalments due, interest of the current period, fees; less interest that
        was paid ahead of its days, which comes back at a payoff (15 USC 1615(a)(1)).

        Sources: the `payoff` and `perdiem` formulas of the example loan; the program says which interest the current
        period bears.
        """
        principal, interest, fees = book.principal_balance, _payoff_interest(book, on), book.fees_balance
        return PayoffQuote(principal, interest, fees, principal + interest + fees, self.per_diem(book, on))

    def per_diem(self, book: Book, on: date) -> Fraction:
        row = next((row for row in book.rows[min(book.first_open, book.current) :] if row.due_date > on), None)
        if row is None:
            return Fraction(0)
        if book.terms.program.payoff_interest is PayoffInterest.PER_DIEM:
            return book.principal_balance * book.rates.on(on) / DAYS_PER_YEAR
        if on < row.period_start:
            return Fraction(0)
        start, due, rates = row.period_start, row.due_date, book.rates
        weight = Fraction(0) if rates.constant else rates.weight(start, due)
        return row.borne * rates.on(on) / weight if weight else Fraction(row.borne, (due - start).days)

    def remake(self, book: Book, on: date) -> None:
        """Instalments due after `on`, and those due on it for which a payment is stated, are made anew from the
        contractual balance. What was paid of them stays; one of which something was paid, and for which no payment is
        stated, stays as it is, and the days' difference in its interest is carried to the next.
        """
        remake_rows(book, on)
        self.bring(book, on)

    def level_payment(self, book: Book, plan: Plan, on: date) -> int:
        return level_payment_of_rest(book, plan, on)

    def waive_interest(self, book: Book, amount: int, on: date) -> int:
        self.bring(book, on)
        return waive_interest(book, book.rows[book.first_open : book.current + 1], amount, on)

    def charge_off(self, book: Book, on: date) -> None:
        """The instalments stay as they are."""
        self.bring(book, on)

    def chargeback(self, book: Book, principal: int, interest: int, on: date) -> None:
        self.bring(book, on)
        index = min(book.current, len(book.rows) - 1)
        row = book.rows[index]
        if book.status is LoanStatus.PAID_OFF:
            row.prior_interest = -row.interest  # the payoff left the interest of the days until then, all earned
        row.principal += principal
        row.interest += interest
        row.prior_interest -= interest
        if index < book.current:
            book.closed_interest += interest
        book.pay_principal(-principal, on)
        row.paid_on = None if row.unpaid else row.paid_on
        book.first_open = min(book.first_open, index)
        book.skip_paid()


def accrued_in_period(row: OpenRow, on: date, rates: Rates, rounding: Rounding) -> int:
    """The period's interest (minor units) earned at the close of `on` by elapsed days of its actual days, each weighing
    as much as its rate, rounded cumulatively; with what was carried into the period.

    Nothing before the period begins, all of it from its due date on. What a prior servicer collected of it is not ours.
    """
    if on >= row.due_date:
        return row.interest + row.later_interest
    start = row.period_start
    elapsed = (on - start).days
    if elapsed <= 0:
        return -row.prior_interest
    whole, days = row.borne, (row.due_date - start).days
    if not rates.constant and (weight := rates.weight(start, row.due_date)):
        return round_minor(whole * rates.weight(start, on) / weight, rounding) - row.prior_interest
    return round_ratio(whole * elapsed, days, rounding) - row.prior_interest


def _rows(book: Book, first: int, balance: int) -> tuple[Row, ...]:
    plan = book.plan
    return amortize(
        balance,
        plan.level_payment,
        plan.factors[first:],
        plan.due_dates[first:],
        rounding=book.terms.program.rounding,
        first_number=first + 1,
        shape=plan.shape,
    )


def _remake_after_current(book: Book, on: date) -> None:
    """After a curtailment: instalments after the current one, of which nothing is paid."""
    kept = book.rows[: book.current + 1]
    if not book.plan.as_contracted or kept[-1].later_interest:
        remake_rows(book, on)
        return
    rest = book.principal_balance - sum(row.principal - row.principal_paid for row in book.rows[book.first_open : len(kept)])
    book.rows = kept + book.open_rows(_rows(book, kept[-1].number, rest))


def _place_brought_interest(book: Book, on: date) -> None:
    """Make interest earned and unpaid at boarding what was brought in, oldest instalments first."""
    rounding = book.terms.program.rounding
    earned = [accrued_in_period(row, on, book.rates, rounding) for row in book.rows]
    less = sum(earned) - book.brought_interest
    if less < 0:
        book.rows[0].prior_interest = less
        book.rows[0].interest -= less
        return
    for row, part in zip(book.rows, earned, strict=True):
        row.prior_interest = min(part, less)
        row.interest -= row.prior_interest
        less -= row.prior_interest


def _payoff_interest(book: Book, on: date) -> int:
    rows, index, interest = book.rows, min(book.first_open, book.current), 0
    while index < len(rows) and rows[index].due_date <= on:
        interest += rows[index].interest - rows[index].interest_paid
        index += 1
    if index < len(rows):
        interest += _current_interest(book, rows[index], on) - _paid_ahead(book, index + 1)
    return max(interest, -book.principal_balance)


def _current_interest(book: Book, row: OpenRow, on: date) -> int:
    """Interest (minor units) that a payoff on `on` takes for the current period, beyond what was paid of it; negative
    when more was paid ahead than is earned.

    `accrued`: the period's interest by elapsed days. `per_diem`: all principal that was unpaid on each day since the
    period began, past due or not, x rate / 365, rounded once; today is a day of its own where the program counts it.
    After the last due date there is no current period, hence no interest: in this method being late costs none. Nor is
    there when the last instalment has been paid.
    """
    program = book.terms.program
    if program.payoff_interest is PayoffInterest.ACCRUED:
        accrued = accrued_in_period(row, on, book.rates, program.rounding)
    elif book.principal_balance or row.unpaid:
        borne = _borne_by_days(book, row.period_start, on, program.payoff_counts_today)
        accrued = round_minor(borne / DAYS_PER_YEAR, program.rounding) - row.prior_interest
    else:
        return 0
    return (max(accrued, row.interest_waived) if row.interest_waived else accrued) - row.interest_paid


def _borne_by_days(book: Book, start: date, on: date, counts_today: bool) -> Fraction:
    """The principal of each day from `start` to `on` times the day's yearly rate, summed. What was paid in between bore
    interest until then: else a payment of a cent less than the payoff would leave nothing to pay. An instalment bears
    none for its due date.
    """
    weight, today = book.rates.weight, timedelta(days=counts_today)
    total = book.principal_balance * weight(start, max(start, on) + today)
    if counts_today and book.current and book.rows[book.current - 1].due_date == on:
        due = book.rows[book.current - 1]
        total -= (due.principal - due.principal_paid) * book.rates.on(on)
    for day, amount in reversed(book.principal_money):
        if day < start:
            break
        total += amount * weight(start, day + today)
    return total


def _paid_early(book: Book) -> int:
    """At most so much interest (minor units) may a payoff give back."""
    if book.current == len(book.rows):
        return 0
    row = book.rows[book.current]
    return row.interest_paid + max(0, row.prior_interest) + _paid_ahead(book, book.current + 1)


def _paid_ahead(book: Book, first: int) -> int:
    """Interest (minor units) paid of the periods after the current one, from the index `first` on. Unless money went to
    the last one first, they are paid one after the other, so one of which nothing was paid ends it; one with which nothing
    is due does not."""
    rows, paid = book.rows, 0
    for index in range(first, len(rows)):
        row = rows[index]
        if not (row.interest_paid or row.principal_paid or book.last_first) and row.unpaid:
            break
        paid += row.interest_paid
    return paid


def _pay_off(book: Book, interest: int, rest: int, on: date, lines: list[AllocationLine]) -> int:
    """Everything is paid. Interest not yet earned is cut from the open instalments; what was paid of it comes back and
    pays principal. The rest of the instalments is due today. `interest` is what the payoff takes of it."""
    due_interest = sum(row.interest - row.interest_paid for row in book.rows[book.first_open : book.current])
    current, later = book.rows[book.current : book.current + 1], book.rows[book.current + 1 :]
    owed = interest - due_interest
    for row in later:
        owed += row.interest_paid
        rest += _give_back(book, row, row.interest_paid, lines)
        row.interest = row.interest_paid
    for row in current:
        back = min(max(0, -owed), row.interest_paid)
        owed += back
        rest += _give_back(book, row, back, lines)
        row.interest = row.interest_paid + max(0, owed)
    # what a rate that fell later left paid ahead of its days
    for row in reversed(book.rows[: book.current] if owed < 0 else []):
        back = min(-owed, row.interest_paid)
        owed += back
        row.interest -= back
        rest += _give_back(book, row, back, lines)
    book.first_open = min(book.first_open, book.current)  # interest may be due now with one that was deferred
    # instalments that are not made bear no fee
    book.own_fee_numbers.update(row.number for row in (*current, *later))
    rest = pay_claims(book, due_claims(book, book.rows[book.first_open :]), rest, on, lines)
    _close(book, on)
    return rest


def _give_back(book: Book, row: OpenRow, amount: int, lines: list[AllocationLine]) -> int:
    """Take unearned interest back from an instalment; returns it."""
    if amount:
        book.interest_paid -= amount
        row.interest_paid -= amount
        lines.append(AllocationLine(Component.INTEREST, -amount, row.number))
    return amount


def _close(book: Book, on: date) -> None:
    # all rows: cutting its interest can complete one before anything is paid of it
    for row in book.rows:
        row.interest = row.interest_paid
        row.paid_on = row.paid_on or on
    book.status, book.paid_off_on = LoanStatus.PAID_OFF, on


def _extra(book: Book, rest: int, on: date, lines: list[AllocationLine], advance: AdvanceOrder) -> int:
    """Money beyond what is due and the current instalment, as the program says; returns what stays unapplied.

    advance_due pays the following instalments, or from the last one back, each with its interest before another is
    begun; the one reached last may be paid in part.
    """
    later = book.rows[book.current + 1 :]
    if not later:
        return rest
    match book.extra_money:
        case ExtraMoney.PRINCIPAL_ONLY:
            amount = min(rest, sum(row.principal - row.principal_paid for row in later))
            book.pay_principal(amount, on)
            _remake_after_current(book, on)
            lines.append(AllocationLine(Component.PRINCIPAL, amount))
            return rest - amount
        case ExtraMoney.ADVANCE_DUE:
            if advance is AdvanceOrder.NEXT:
                return pay_claims(book, by_instalment(book, later, []), rest, on, lines)
            book.last_first = True
            claims = chain.from_iterable(by_instalment(book, [row], []) for row in reversed(later))
            return pay_claims(book, claims, rest, on, lines)
        case _:
            return rest
