"""Making the instalments of a `scheduled` loan anew, after its plan or its rates changed."""

from __future__ import annotations

from bisect import bisect_left
from datetime import date
from typing import NamedTuple

from domain.plan import Plan
from domain.projection import Held, Projected, level_payment_over, project
from domain.working import Book, OpenRow


class Rest(NamedTuple):
    """What is left of a loan on a day: what domain.projection.project is asked for (amounts in minor units), and the rows
    that stay and those to be remade."""

    first: int
    balance: int
    opening: int | None
    carried: int
    held: dict[int, Held]
    kept: list[OpenRow]
    zone: list[OpenRow]


def rest_of(book: Book, plan: Plan, on: date) -> Rest:
    """What is left to be paid on `on` by the instalments that fall due on it or after it, if the plan were `plan`.

    Where there are none, principal that is to be paid by added ones bears interest from the next period on.
    """
    start = bisect_left(book.rows, on, key=lambda row: row.due_date)
    kept, zone = book.rows[:start], book.rows[start:]
    balance = book.principal_balance - sum(row.principal - row.principal_paid for row in kept)
    balance += sum(row.principal_paid for row in zone)
    number = book.rows[0].number + start
    if not zone:
        number += sum(due <= on for due in plan.due_dates[number - 1 :])
    return Rest(
        first=number - 1,
        balance=balance,
        opening=zone[0].opening if zone else 0,
        carried=book.moved_interest - (zone[0].prior_interest if zone else 0),
        held=_held(plan, zone, on),
        kept=kept,
        zone=zone,
    )


def level_payment_of_rest(book: Book, plan: Plan, on: date) -> int:
    """The level payment (minor units) of the plan that amortizes what `rest_of` says is left."""
    rest, rounding = rest_of(book, plan, on), book.terms.program.rounding
    return level_payment_over(
        plan, rest.first, rest.balance, rounding, opening=rest.opening, carried=rest.carried, held=rest.held
    )


def remake_rows(book: Book, on: date) -> None:
    """Replace the rows due on or after `on` by what the plan gives from the contractual balance.

    One due on `on` stands unless a payment is stated for it or it was moved; so does one of which something was paid
    unless a payment is stated, and one paid ahead bears what was paid. `moved_interest` is taken up. The rows before
    stay; `current` and `first_open` point into them afterwards.
    """
    first, balance, opening, carried, held, kept, zone = rest_of(book, book.plan, on)
    rounding = book.terms.program.rounding
    made = project(book.plan, first, balance, rounding, opening=opening, carried=carried, held=held)
    passed = range(book.rows[-1].number + 1, first + 1) if made and not zone else ()
    book.rows = kept + [_passed_row(book, number, carried) for number in passed] + _open_rows(book, made, zone, carried)
    book.moved_interest = 0
    book.current, book.first_open = len(kept), min(book.first_open, len(kept))
    book.closed_interest = sum(row.interest for row in kept)
    book.skip_paid()


def _held(plan: Plan, zone: list[OpenRow], on: date) -> dict[int, Held]:
    """What is paid of the rows to be remade, by number."""
    held: dict[int, Held] = {}
    for index, row in enumerate(zone):
        due_today = row.due_date == on == plan.due_dates[row.number - 1]
        if not (row.principal_paid or row.interest_paid or due_today):
            continue
        if row.unpaid and row.number in plan.stated:
            held[row.number] = Held(row.interest_paid, row.principal_paid, stands=False)
        else:
            ahead = index > 0 and not row.unpaid
            held[row.number] = Held(row.interest, row.principal, bears=row.interest if ahead else None)
    _leave_one_open(held, zone, len(plan.due_dates))
    return held


def _leave_one_open(held: dict[int, Held], zone: list[OpenRow], last: int) -> None:
    """Where every instalment would stand, the last one that is not paid takes what is left of interest."""
    if not zone or any(n not in held or not held[n].stands for n in range(zone[0].number, last + 1)):
        return
    row = next((row for row in reversed(zone) if row.unpaid and row.number <= last), None)
    if row is not None:
        held[row.number] = Held(row.interest_paid, row.principal_paid, stands=False)


def _open_rows(book: Book, made: list[Projected], zone: list[OpenRow], carried: int) -> list[OpenRow]:
    rows = []
    before = {row.number: row for row in zone}
    for number, interest, principal, opening, _, later in made:
        row = _row(book, number, opening, deferred=book.plan.stated.get(number) == 0)
        row.principal, row.interest = principal, interest
        old = before.get(number)
        if old is not None:
            row.principal_paid, row.interest_paid = old.principal_paid, old.interest_paid
            row.interest_waived, row.paid_on = old.interest_waived, old.paid_on
        row.prior_interest, row.later_interest = -carried, later
        carried = later
        rows.append(row)
    if rows:
        rows[-1].later_interest = 0
    return rows


def _passed_row(book: Book, number: int, carried: int) -> OpenRow:
    """An instalment added with a due date that has passed: nothing is due with it, and what was carried goes on."""
    row = _row(book, number, 0, deferred=True)
    row.prior_interest, row.later_interest = -carried, carried
    return row


def _row(book: Book, number: int, opening: int, *, deferred: bool) -> OpenRow:
    due, start = book.plan.due_dates[number - 1], book.plan.starts[number - 1]
    return OpenRow(number, due, start, 0, 0, opening=opening, deferred=deferred)
