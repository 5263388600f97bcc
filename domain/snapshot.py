"""The frozen state of a loan at the close of a day, taken from the working state of its replay."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from domain.accrual import earned
from domain.delinquency import bucket, dpd
from domain.loan import Fee, Instalment, InstalmentStatus, LoanState, LoanStatus
from domain.payoff import per_diem_of
from domain.program import AllocationScope, Component, Program
from domain.working import Book, OpenRow


def state_of(book: Book, as_of: date) -> LoanState:
    """The state at the close of `as_of`, to which the book must have been brought."""
    book.reach(as_of)
    open_rows = book.rows[book.first_open :] if book.status is LoanStatus.ACTIVE else []
    oldest = next((row.due_date for row in open_rows if row.due_date <= as_of and row.unpaid), None)
    past_due = sum(row.unpaid for row in open_rows if row.due_date < as_of)
    upcoming = next((row for row in open_rows if row.due_date >= as_of and row.unpaid), None)
    days = dpd(as_of, oldest)
    return LoanState(
        as_of=as_of,
        status=book.status,
        principal_balance=book.principal_balance,
        accrued_interest=earned(book, as_of) - book.interest_paid,
        fees_balance=book.fees_balance,
        unapplied=book.unapplied,
        instalments=tuple([_instalment(row, as_of) for row in book.rows]),
        fees=tuple(
            Fee(fee.key, "late_fee", fee.instalment_number, fee.due_date, fee.assessed_on, fee.amount, fee.paid)
            for fee in book.fees
        ),
        past_due_amount=past_due,
        oldest_unpaid_due_date=oldest,
        days_past_due=days,
        delinquency_bucket=bucket(days),
        next_due_date=None if upcoming is None else upcoming.due_date,
        next_due_amount=_next_due_amount(book, past_due, upcoming),
        paid_off_on=book.paid_off_on,
        last_payment_date=book.last_payment_date,
        last_payment_amount=book.last_payment_amount,
        total_paid=book.total_paid,
        per_diem=_per_diem(book, as_of),
        opened_on=book.opened_on,
    )


def _instalment(row: OpenRow, as_of: date) -> Instalment:
    return Instalment(
        row.number,
        row.due_date,
        row.period_start,
        row.principal + row.interest,
        row.principal,
        row.interest,
        row.principal_paid,
        row.interest_paid,
        _instalment_status(row, as_of),
        row.paid_on,
        row.prior_interest,
    )


def _instalment_status(row: OpenRow, as_of: date) -> InstalmentStatus:
    if not row.unpaid:
        return InstalmentStatus.PAID
    if row.due_date < as_of:
        return InstalmentStatus.PAST_DUE
    if row.principal_paid or row.interest_paid:
        return InstalmentStatus.PARTIAL
    return InstalmentStatus.DUE if row.due_date == as_of else InstalmentStatus.SCHEDULED


def _next_due_amount(book: Book, past_due: int, upcoming: OpenRow | None) -> int:
    """A draft of less would leave an instalment short where the waterfall takes the fees on the way."""
    if book.status is not LoanStatus.ACTIVE:
        return 0
    fees = book.fees_balance if _fees_come_before_the_last_instalment(book.terms.program) else 0
    return past_due + (upcoming.unpaid if upcoming else 0) + fees


def _fees_come_before_the_last_instalment(program: Program) -> bool:
    by_component = program.allocation_scope is AllocationScope.COMPONENT
    return not (by_component and program.allocation_order[-1] is Component.FEES)


def _per_diem(book: Book, as_of: date) -> Fraction:
    if book.status is not LoanStatus.ACTIVE or book.current >= len(book.rows):
        return Fraction(0)
    return per_diem_of(book.terms, book.rows[book.current], book.principal_balance, as_of)
