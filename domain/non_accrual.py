"""Non-accrual: the interest of a loan that is long past due is no income until it is received.

By the program's `non_accrual_days` past due, at the opening of the day that reaches them, until the loan is not past due at
all; or because a person says so (Book.non_accrual_set), until a person says otherwise. Who takes it off although it is past
due keeps it off until the loan has been cured.
"""

from __future__ import annotations

from datetime import date, timedelta

from domain.delinquency import dpd, oldest_unpaid_due_date
from domain.loan import LoanStatus
from domain.working import Book


def due_to_begin(book: Book, opening: date) -> bool:
    """Whether the loan goes on non-accrual at the opening of a day because of its days past due."""
    limit = book.terms.program.non_accrual_days
    if limit is None or book.non_accrual or book.status is not LoanStatus.ACTIVE:
        return False
    return book.non_accrual_set is None and dpd(opening, oldest_unpaid_due_date(book)) >= limit


def is_cured(book: Book, on: date) -> bool:
    """Whether the loan is not past due at all, or has ended."""
    return book.status is not LoanStatus.ACTIVE or not dpd(on, oldest_unpaid_due_date(book))


def next_day(book: Book) -> date | None:
    """The opening of which day brings non-accrual if nothing is paid until then."""
    limit = book.terms.program.non_accrual_days
    if limit is None or book.non_accrual or book.non_accrual_set is not None or book.status is not LoanStatus.ACTIVE:
        return None
    oldest = oldest_unpaid_due_date(book)
    return None if oldest is None else oldest + timedelta(days=limit)
