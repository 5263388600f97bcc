"""Where the money of a payment goes.

The interest method says what is paid in what order of time (due, current, ahead); here are what all methods share: the
program's order of components, and how a claim is paid. The same code serves payments, previews and payoffs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from domain.fees import assess_instalment_fee, component_of, has_own_fee
from domain.loan import Allocation, AllocationLine, FeeKind, LoanStatus, fee_kind
from domain.program import AdvanceOrder, AllocationScope, Component, ExtraMoney
from domain.recovery import recover
from domain.working import Book, OpenFee, OpenRow

_INTEREST: Final = Component.INTEREST
_PRINCIPAL: Final = Component.PRINCIPAL

Claim = tuple[Component, OpenRow | OpenFee, int]
"""Something money can pay: a component of an instalment, or a fee, and the minor units unpaid of it. A fee claimed by an
instalment is the program's instalment fee, not assessed yet."""


def pay(
    book: Book,
    payment_id: str,
    amount: int,
    on: date,
    advance: AdvanceOrder | None = None,
    withheld: int = 0,
    extra: ExtraMoney | None = None,
) -> Allocation:
    """Apply `amount` minor units received on `on` to the book and say where they went.

    `advance` says which open instalment money in advance fills first, `extra` what becomes of money beyond what is due and
    the current instalment (default: as the program says). Money received for a charged-off loan is a recovery. What is left
    first repays what is due from the borrower; the rest is unapplied, and so is `withheld`, the part of the amount that pays
    nothing (minor units).
    """
    book.total_paid += amount
    book.last_payment_date, book.last_payment_amount = on, amount
    book.extra = extra
    book.extras_differ |= extra is not None and extra is not book.terms.program.extra_money
    allocation = apply(book, payment_id, amount - withheld, on, advance)
    book.extra = None
    if extra is ExtraMoney.UNAPPLIED and book.status is LoanStatus.ACTIVE:
        book.set_aside += allocation.unapplied
    if withheld:
        allocation = allocation._replace(unapplied=allocation.unapplied + withheld)
    book.unapplied += allocation.unapplied
    return allocation


def apply(book: Book, key: str, amount: int, on: date, advance: AdvanceOrder | None = None) -> Allocation:
    """Put `amount` minor units through the waterfall. What is left over is the allocation's `unapplied`, which the caller
    keeps for the borrower."""
    lines: list[AllocationLine] = []
    rest, recovery = amount, book.status is LoanStatus.CHARGED_OFF
    if book.status is LoanStatus.ACTIVE:
        rest = book.method.pay(book, amount, on, lines, advance or book.terms.program.advance_order)
    elif recovery:
        rest = recover(book, amount, on, lines)
    repaid = min(rest, book.due_from_borrower)
    book.due_from_borrower -= repaid
    return allocated(key, on, rest - repaid, lines, repaid, recovery)


def due_claims(book: Book, rows: list[OpenRow]) -> Iterator[Claim]:
    """Claims of the instalments in `rows` (oldest first) and of all unpaid fees, in the program's order and scope."""
    fees = list(book.open_fees)
    if book.terms.program.allocation_scope is AllocationScope.INSTALMENT:
        yield from by_instalment(book, rows, fees)
        return
    for component in book.terms.program.allocation_order:
        yield from _claims(book, component, rows, fees)


def by_instalment(book: Book, rows: list[OpenRow], fees: list[OpenFee]) -> Iterator[Claim]:
    """Each instalment's components in order, oldest first. A fee belongs to the instalment that caused it, also when
    that is paid."""
    order = book.terms.program.allocation_order
    if not fees:
        for row in rows:
            for component in order:
                wanted = _wanted(book, component, row)
                if wanted > 0:
                    yield component, row, wanted
        return
    by_number: dict[int, tuple[list[OpenRow], list[OpenFee]]] = {}
    for row in rows:
        by_number.setdefault(row.number, ([], []))[0].append(row)
    for fee in fees:
        by_number.setdefault(fee.instalment_number, ([], []))[1].append(fee)
    for _, (own_rows, own_fees) in sorted(by_number.items()):
        for component in order:
            yield from _claims(book, component, own_rows, own_fees)


def _claims(book: Book, component: Component, rows: list[OpenRow], fees: list[OpenFee]) -> Iterator[Claim]:
    for fee in fees:
        if component_of(book.terms.program, fee.kind) is component:
            yield component, fee, fee.amount - fee.paid
    for row in rows:
        wanted = _wanted(book, component, row)
        if wanted > 0:
            yield component, row, wanted


def _wanted(book: Book, component: Component, row: OpenRow) -> int:
    """Minor units unpaid of a component of an instalment; of the fees, its own one that is not assessed yet."""
    if component is _INTEREST:
        return row.interest - row.interest_paid
    if component is _PRINCIPAL:
        return row.principal - row.principal_paid
    fee = book.terms.program.instalment_fee
    return fee if fee and component is Component.FEES and has_own_fee(book, row) else 0


def pay_claims(book: Book, claims: Iterable[Claim], rest: int, on: date, lines: list[AllocationLine]) -> int:
    """Pay the claims in their order as far as `rest` goes; returns what is left."""
    if not rest:
        return 0
    for component, target, wanted in claims:
        amount = wanted if wanted < rest else rest
        rest -= amount
        if isinstance(target, OpenFee):
            _pay_fee(book, target, amount, on, lines)
        elif component is _INTEREST:
            target.interest_paid += amount
            book.interest_paid += amount
            lines.append(AllocationLine(component, amount, target.number))
            if not target.unpaid:
                target.paid_on = on
        elif component is _PRINCIPAL:
            target.principal_paid += amount
            book.pay_principal(amount, on, target.due_date)
            lines.append(AllocationLine(component, amount, target.number))
            if not target.unpaid:
                target.paid_on = on
        else:
            _pay_fee(book, assess_instalment_fee(book, target, on), amount, on, lines)
        if not rest:
            break
    book.skip_paid()
    return rest


def waive_interest(book: Book, rows: list[OpenRow], amount: int, on: date) -> int:
    """Settle `amount` minor units of the interest of `rows`, oldest first, without money. Returns what was waived."""
    lines: list[AllocationLine] = []
    claims = _claims(book, Component.INTEREST, rows, [])
    rest = pay_claims(book, claims, amount, on, lines)
    waived = {line.instalment_number: line.amount for line in lines}
    for row in rows:
        row.interest_waived += waived.get(row.number, 0)
    return amount - rest


def _pay_fee(book: Book, fee: OpenFee, amount: int, on: date, lines: list[AllocationLine]) -> None:
    book.settle_fee(fee, amount, on)
    if fee.kind is FeeKind.LATE:
        book.fee_money.append((on, amount))
    component = component_of(book.terms.program, fee.kind)
    lines.append(AllocationLine(component, amount, fee.instalment_number, fee.key))


def allocated(
    key: str, on: date, unapplied: int, lines: list[AllocationLine], due_from_borrower: int, recovery: bool
) -> Allocation:
    """An allocation from its lines and from what is not in them (minor units)."""
    fees = interest = principal = nsf_fees = other_fees = 0
    for component, amount, _, fee_key in lines:
        if component is _INTEREST:
            interest += amount
        elif component is _PRINCIPAL:
            principal += amount
        elif fee_key is not None:
            fees += amount
            kind = fee_kind(fee_key)
            if kind is FeeKind.NSF:
                nsf_fees += amount
            elif kind is not FeeKind.LATE:
                other_fees += amount
    return Allocation(
        key, on, fees, interest, principal, unapplied, tuple(lines), nsf_fees, other_fees, due_from_borrower, recovery
    )
