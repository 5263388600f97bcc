"""The working state of a replay: a book of rows and fees that are still being paid.

`Book`, `OpenRow` and `OpenFee` are mutable and private to the engine: only domain/replay.py and the rules it calls touch
them, callers get the frozen types of domain/loan.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Protocol

from domain.amortization import Row
from domain.loan import AllocationLine, FeeKind, LoanStatus, PayoffQuote
from domain.plan import Plan
from domain.program import AdvanceOrder, ExtraMoney
from domain.rates import Rates
from domain.terms import LoanTerms


@dataclass(slots=True)
class OpenRow:
    """An instalment while it is being paid; the fields mean what those of domain.loan.Instalment do, except that
    `interest_paid` is all that was settled of its interest, of which `interest_waived` without money.

    `opening` is the principal its period begins with. `later_interest` is borne up to its due date but due with later
    instalments, because of a modification (negative: paid ahead of its days); `prior_interest` of the next one takes it
    up. `deferred`: a modification moved what was due with it.

    Its instalment fee, where the program has one, is not here: it becomes one of the book's fees on the due date, or when
    it is paid earlier.
    """

    number: int
    due_date: date
    period_start: date
    principal: int
    interest: int
    principal_paid: int = 0
    interest_paid: int = 0
    paid_on: date | None = None
    prior_interest: int = 0
    interest_waived: int = 0
    opening: int = 0
    later_interest: int = 0
    deferred: bool = False

    @property
    def borne(self) -> int:
        """Interest (minor units) that its own period bears, whoever collects it and with whichever instalment."""
        return self.interest + self.prior_interest + self.later_interest

    @property
    def unpaid(self) -> int:
        return self.principal + self.interest - self.principal_paid - self.interest_paid

    def copy(self) -> OpenRow:
        """A row of its own, field by field: copy.copy takes several times as long."""
        return OpenRow(
            self.number,
            self.due_date,
            self.period_start,
            self.principal,
            self.interest,
            self.principal_paid,
            self.interest_paid,
            self.paid_on,
            self.prior_interest,
            self.interest_waived,
            self.opening,
            self.later_interest,
            self.deferred,
        )


@dataclass(slots=True)
class OpenFee:
    """A fee while it is being paid. `paid` is all that was settled of it, of which `waived` without money."""

    key: str
    instalment_number: int
    due_date: date
    assessed_on: date
    amount: int
    paid: int = 0
    kind: FeeKind = FeeKind.LATE
    waived: int = 0
    paid_on: date | None = None


@dataclass(slots=True)
class ChargeOff:
    """A loan's charge-off: its day, the principal charged off, and the interest earned by the close of that day. What was
    recovered since, and, where interest goes on, the exact interest borne before `bearing_from`."""

    on: date
    principal: int
    earned: int
    bearing_from: date
    recovered: int = 0
    borne: Fraction = Fraction(0)


class Method(Protocol):
    """How a loan's interest is earned, and its instalments made and paid: a program's interest method."""

    def open(self, book: Book, first: int, on: date) -> None:
        """Make the rows of a loan that begins on `on` with the book's plan, principal and brought interest. `first`: the
        index of the first instalment that is ours (0 unless the loan was boarded)."""

    def bring(self, book: Book, on: date) -> None:
        """Instalments due up to `on` become due. Forward only; again changes nothing. Rows to come need not be right."""

    def foresee(self, book: Book, on: date) -> None:
        """All rows as they stand at `on`, those to come too."""

    def seen(self, book: Book, on: date) -> Book:
        """The book of an active loan as it is shown at the close of `on`, all rows foreseen: a copy where they may come
        otherwise, so that the book goes on as if nobody had looked."""

    def earned(self, book: Book, on: date) -> int:
        """Interest (minor units) an active loan has earned at the close of `on` since it began, as the book stands,
        with what was earned before boarding and brought in unpaid. Rounded; never less than what was paid of it."""

    def pay(self, book: Book, amount: int, on: date, lines: list[AllocationLine], advance: AdvanceOrder) -> int:
        """Money (minor units) pays an active loan: `lines` get where it went. Returns what is left over."""

    def payoff(self, book: Book, on: date) -> PayoffQuote:
        """What pays an active loan off on `on`. Changes nothing."""

    def per_diem(self, book: Book, on: date) -> Fraction:
        """Minor units, unrounded, a further day within the current period adds to the payoff."""

    def remake(self, book: Book, on: date) -> None:
        """The plan or the rates were changed with effect from `on`: make what comes after anew."""

    def level_payment(self, book: Book, plan: Plan, on: date) -> int:
        """The level payment (minor units) with which the plan amortizes what is left on `on`, to which the rows have been
        foreseen, over the instalments after it. Changes nothing."""

    def waive_interest(self, book: Book, amount: int, on: date) -> int:
        """Settle interest earned and unpaid without money, oldest instalments first, at most `amount` (minor units, no
        more than is accrued). It counts as paid in the book and the rows, and is marked waived. Returns what was waived."""

    def charge_off(self, book: Book, on: date) -> None:
        """An active loan is charged off at the close of `on`: rows as they then stand. Nothing falls due any more."""

    def chargeback(self, book: Book, principal: int, interest: int, on: date) -> None:
        """Money (minor units) taken back from the lender is owed again with the current instalment, or the last one. The
        book's principal rises by `principal`, and what is earned by `interest`, less what counted as earned only because it
        had been paid ahead. A loan that was paid off still says so in its status, and is active after this."""


@dataclass(slots=True)
class Book:
    """A loan in the middle of its replay. Dates only go forward: `current` and `first_open` never go back.

    rows[:current] are due on the day reached; rows[:first_open] are fully paid. `closed_interest` is the interest of
    rows[:current]. `brought_interest` was earned before boarding. `interest_paid`: all interest settled, with money or
    waived. `open_fees`: those of `fees` that are not settled, `new_fees`: those not posted yet. `due_from_borrower`: money
    refunded that was not the borrower's. `non_accrual_set`: what a person said of non-accrual, while that stands.
    `own_fee_numbers`: instalments whose own fee is assessed. `fee_money`: what payments spent on late fees, by day;
    `principal_money`: what they spent on principal that was not due on that very day. `excused`, `fee_row` and
    `fee_checked_on` belong to domain/fees.py. `last_first`: money paid the last instalment before others. `moved_interest`:
    past due interest that a modification took from its instalments and that the rows to be remade take up.
    `late_fee_wait`: the program's.
    `extra`: what the payment being applied says of extra money; `extras_differ`: one has said otherwise than the program;
    `set_aside`: the part of `unapplied` that payments said is to wait for the next due date.
    """

    terms: LoanTerms
    method: Method
    plan: Plan
    rates: Rates
    status: LoanStatus = LoanStatus.BOARDING
    opened_on: date | None = None
    rows: list[OpenRow] = field(default_factory=list)
    current: int = 0
    first_open: int = 0
    closed_interest: int = 0
    brought_interest: int = 0
    principal_balance: int = 0
    interest_paid: int = 0
    fees: list[OpenFee] = field(default_factory=list)
    open_fees: list[OpenFee] = field(default_factory=list)
    new_fees: list[OpenFee] = field(default_factory=list)
    fees_balance: int = 0
    unapplied: int = 0
    due_from_borrower: int = 0
    charge_off: ChargeOff | None = None
    non_accrual: bool = False
    non_accrual_set: bool | None = None
    total_paid: int = 0
    paid_off_on: date | None = None
    last_payment_date: date | None = None
    last_payment_amount: int | None = None
    fee_money: list[tuple[date, int]] = field(default_factory=list)
    principal_money: list[tuple[date, int]] = field(default_factory=list)
    fee_row: int = 0
    fee_checked_on: date = date.min
    excused: int = 0
    last_first: bool = False
    moved_interest: int = 0
    extra: ExtraMoney | None = None
    extras_differ: bool = False
    set_aside: int = 0
    own_fee_numbers: set[int] = field(default_factory=set)
    late_fee_wait: timedelta | None = field(init=False)

    def __post_init__(self) -> None:
        self.late_fee_wait = self.terms.program.late_fee_wait

    @property
    def extra_money(self) -> ExtraMoney:
        """What becomes of money beyond what is due and the current instalment: as the payment says, or the program. Where
        payments differ in it, and one has paid coming instalments, these are not made anew: principal prepays them too."""
        extra = self.extra or self.terms.program.extra_money
        if extra is ExtraMoney.PRINCIPAL_ONLY and self.extras_differ and self._paid_ahead():
            return ExtraMoney.ADVANCE_DUE
        return extra

    def _paid_ahead(self) -> bool:
        return any(row.principal_paid or row.interest_paid for row in self.rows[self.current + 1 :])

    @property
    def waiting(self) -> int:
        """Unapplied funds (minor units) that are applied by themselves on the next due date."""
        if self.terms.program.extra_money is ExtraMoney.UNAPPLIED:
            return self.unapplied
        return min(self.set_aside, self.unapplied)

    def open_rows(self, made: Iterable[Row]) -> list[OpenRow]:
        """Rows of a schedule, not paid yet, with the periods of the plan."""
        starts = self.plan.starts
        return [
            OpenRow(number, due, starts[number - 1], principal, interest, opening=balance + principal)
            for number, due, _, interest, principal, balance in made
        ]

    def pay_principal(self, amount: int, on: date, due_date: date | None = None) -> None:
        """Principal (minor units) of the instalment due on `due_date` (None: a curtailment) was paid."""
        self.principal_balance -= amount
        if due_date != on:
            self.principal_money.append((on, amount))

    def skip_paid(self) -> None:
        """Move `first_open` past the instalments that are fully paid."""
        rows, first = self.rows, self.first_open
        while first < len(rows) and not rows[first].unpaid:
            first += 1
        self.first_open = first

    def add_fee(self, fee: OpenFee) -> None:
        """Owe a fee from now on; it is posted where the day is opened or the payment recorded."""
        self.fees.append(fee)
        self.open_fees.append(fee)
        self.new_fees.append(fee)
        self.fees_balance += fee.amount

    def settle_fee(self, fee: OpenFee, amount: int, on: date) -> None:
        """Pay or waive `amount` minor units of a fee, at most what is unpaid of it."""
        fee.paid += amount
        self.fees_balance -= amount
        if fee.paid == fee.amount:
            fee.paid_on = on
            self.open_fees.remove(fee)

    def reopen_fee(self, fee: OpenFee, amount: int) -> None:
        """Owe `amount` minor units of what was paid of a fee again."""
        fee.paid -= amount
        fee.paid_on = None
        self.fees_balance += amount
        self.open_fees = [each for each in self.fees if each.paid < each.amount]
