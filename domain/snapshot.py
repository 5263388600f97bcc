"""The frozen state of a loan at the close of a day, taken from the working state of its replay."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

from domain.accrual import earned
from domain.delinquency import DelinquencyHistory, bucket, dpd, oldest_unpaid_due_date
from domain.fees import component_of, has_own_fee
from domain.loan import Fee, FeeKind, Instalment, InstalmentStatus, LoanState, LoanStatus
from domain.program import AllocationScope, Component, Program
from domain.working import Book, OpenFee, OpenRow


def seen(book: Book, on: date) -> Book:
    """The book as it is shown at the close of `on`, to which it must have been brought."""
    return book.method.seen(book, on) if book.status is LoanStatus.ACTIVE else book


def state_of(book: Book, as_of: date, history: DelinquencyHistory, *, with_instalments: bool = True) -> LoanState:
    """The state at the close of `as_of`, `book` being as it is `seen` then; `history` counts the days before.

    `with_instalments` False leaves them out: who looks at many days of a loan needs them of none.
    """
    active = book.status is LoanStatus.ACTIVE
    unpaid = oldest_unpaid_due_date(book) if active else None
    history = replace(history)
    history.see(book, as_of)
    oldest = unpaid if unpaid is not None and unpaid <= as_of else None
    open_rows = book.rows[book.first_open :] if active else []
    tolerance = book.terms.program.delinquency_tolerance
    behind = [row.unpaid for row in open_rows if row.due_date < as_of]
    upcoming = next((row for row in open_rows if row.due_date >= as_of and row.unpaid), None)
    accrued = earned(book, as_of) - book.interest_paid
    days = dpd(as_of, oldest)
    charge_off = book.charge_off
    owed = book.principal_balance + accrued + book.fees_balance
    return LoanState(
        as_of=as_of,
        status=book.status,
        principal_balance=book.principal_balance,
        accrued_interest=accrued,
        fees_balance=book.fees_balance,
        unapplied=book.unapplied,
        instalments=_instalments(book, as_of) if with_instalments else (),
        fees=tuple([_fee(fee) for fee in book.fees]),
        past_due_amount=sum(amount for amount in behind if amount > tolerance),
        oldest_unpaid_due_date=oldest,
        days_past_due=days,
        delinquency_bucket=bucket(days),
        next_due_date=None if upcoming is None else upcoming.due_date,
        next_due_amount=_next_due_amount(book, sum(behind), upcoming),
        paid_off_on=book.paid_off_on,
        last_payment_date=book.last_payment_date,
        last_payment_amount=book.last_payment_amount,
        total_paid=book.total_paid,
        per_diem=book.method.per_diem(book, as_of) if active else Fraction(0),
        payoff=book.method.payoff(book, as_of) if active else None,
        opened_on=book.opened_on,
        late_fees=_unpaid(book, FeeKind.LATE),
        nsf_fees=_unpaid(book, FeeKind.NSF),
        other_fees=_unpaid(book, FeeKind.OTHER, FeeKind.INSTALMENT),
        due_from_borrower=book.due_from_borrower,
        charged_off_on=None if charge_off is None else charge_off.on,
        charged_off_balance=owed if book.status is LoanStatus.CHARGED_OFF else 0,
        charged_off_principal=0 if charge_off is None else charge_off.principal,
        recovered=0 if charge_off is None else charge_off.recovered,
        non_accrual=book.non_accrual,
        non_accrual_interest=accrued if book.non_accrual else 0,
        first_delinquency_date=history.first,
        times_delinquent=history.times,
        delinquent_days=history.days,
        last_current_date=history.last_current,
    )


def _unpaid(book: Book, *kinds: FeeKind) -> int:
    return sum(fee.amount - fee.paid for fee in book.open_fees if fee.kind in kinds)


def _fee(fee: OpenFee) -> Fee:
    return Fee(
        fee.key,
        fee.kind,
        fee.instalment_number,
        fee.due_date,
        fee.assessed_on,
        fee.amount,
        fee.paid - fee.waived,
        fee.waived,
        fee.paid_on,
    )


def _instalments(book: Book, as_of: date) -> tuple[Instalment, ...]:
    """The rows as they stand; after a charge-off as they stood then, because nothing falls due any more."""
    day = as_of if book.charge_off is None else min(as_of, book.charge_off.on)
    program = book.terms.program
    if not program.instalment_fee:
        return tuple([_instalment(row, day, program.delinquency_tolerance) for row in book.rows])
    own = {fee.instalment_number: fee for fee in book.fees if fee.kind is FeeKind.INSTALMENT}
    # what is not assessed yet is owed only while there are instalments to come
    active = book.status is LoanStatus.ACTIVE
    to_come = {row.number: program.instalment_fee for row in book.rows if active and has_own_fee(book, row)}
    tolerance = program.delinquency_tolerance
    return tuple([_with_fee(row, own.get(row.number), to_come.get(row.number, 0), day, tolerance) for row in book.rows])


def _with_fee(row: OpenRow, fee: OpenFee | None, to_come: int, day: date, tolerance: int) -> Instalment:
    made = _instalment(row, day, tolerance)
    amount, paid = (to_come, 0) if fee is None else (fee.amount, fee.paid)
    settled = amount == paid
    return made._replace(
        fees=amount,
        fees_paid=paid,
        status=made.status if row.unpaid or settled else InstalmentStatus.PARTIAL,
        paid_on=_last(row.paid_on, None if fee is None else fee.paid_on) if settled else None,
    )


def _last(*days: date | None) -> date | None:
    return max((day for day in days if day is not None), default=None)


def _instalment(row: OpenRow, as_of: date, tolerance: int) -> Instalment:
    return Instalment(
        row.number,
        row.due_date,
        row.period_start,
        row.principal + row.interest,
        row.principal,
        row.interest,
        row.principal_paid,
        row.interest_paid - row.interest_waived,
        _instalment_status(row, as_of, tolerance),
        row.paid_on,
        row.prior_interest,
        row.interest_waived,
    )


def _instalment_status(row: OpenRow, as_of: date, tolerance: int) -> InstalmentStatus:
    unpaid = row.unpaid
    if not unpaid and row.deferred:
        return InstalmentStatus.DEFERRED
    if not unpaid:
        return InstalmentStatus.WAIVED if row.interest_waived else InstalmentStatus.PAID
    if row.due_date < as_of and unpaid > tolerance:
        return InstalmentStatus.PAST_DUE
    if row.principal_paid or row.interest_paid:
        return InstalmentStatus.PARTIAL
    return InstalmentStatus.DUE if row.due_date <= as_of else InstalmentStatus.SCHEDULED


def _next_due_amount(book: Book, past_due: int, upcoming: OpenRow | None) -> int:
    """What is past due, the next instalment with its own fee, and the fees which the waterfall takes on the way: a draft of
    less would leave an instalment short."""
    if book.status is not LoanStatus.ACTIVE:
        return 0
    amount = past_due + (upcoming.unpaid if upcoming else 0)
    if upcoming and has_own_fee(book, upcoming):
        amount += book.terms.program.instalment_fee
    for fee in book.open_fees:
        if fee.kind is FeeKind.INSTALMENT or _comes_before_the_last_instalment(book.terms.program, fee.kind):
            amount += fee.amount - fee.paid
    return amount


def _comes_before_the_last_instalment(program: Program, kind: FeeKind) -> bool:
    if program.allocation_scope is not AllocationScope.COMPONENT:
        return True
    order = program.allocation_order
    last = max(order.index(Component.INTEREST), order.index(Component.PRINCIPAL))
    return order.index(component_of(program, kind)) < last
