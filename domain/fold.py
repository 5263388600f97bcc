"""A replay in progress: the book, and what it has brought forth so far. Handlers of events get it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from domain import non_accrual, posting
from domain.accrual import MonthlyAccruals, earned
from domain.allocation import apply
from domain.delinquency import DelinquencyHistory
from domain.fees import assess_instalment_fees, assess_late_fees, next_late_fee_day
from domain.journal import Entry, EntryKind
from domain.loan import Allocation, LoanStatus
from domain.program import InterestMethod
from domain.working import Book, OpenRow

_ONE_DAY = timedelta(days=1)
_ACTIVE = LoanStatus.ACTIVE


@dataclass(slots=True)
class Fold:
    """`payments`: amounts (minor units) of all payments of the replay by id; `settled`: those the bank has settled.

    `applications`: where unapplied funds went, by the key of the application. `waivers`: what each waiver waived, by its
    id. `payables`: refunds and reimbursements by the key of their entry, `sent` those that were sent. `opened`: the day
    that is open.
    """

    book: Book
    payments: Mapping[str, int]
    allocations: dict[str, Allocation] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    accruals: MonthlyAccruals = field(default_factory=MonthlyAccruals)
    settled: set[str] = field(default_factory=set)
    applications: dict[str, Allocation] = field(default_factory=dict)
    waivers: dict[str, int] = field(default_factory=dict)
    chargebacks: dict[str, Allocation] = field(default_factory=dict)
    payables: dict[str, int] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    delinquency: DelinquencyHistory = field(default_factory=lambda: DelinquencyHistory(date.min))
    opened: date = date.min

    def begin(self, on: date) -> None:
        """The loan was disbursed or boarded on `on`."""
        self.accruals.open(self.book, on)
        self.delinquency.through = on - _ONE_DAY
        self.book.new_fees.clear()  # those brought in are posted with the boarding
        self.opened = on - _ONE_DAY

    def pass_to(self, day: date) -> None:
        """Bring the loan to the opening of `day`: what arises by itself until then has arisen, each thing on its day.

        At the opening of a day the months before it have earned their interest, instalment fees of that due date and late
        fees are assessed, unapplied funds are applied, non-accrual begins; in this order.
        """
        while self.opened < day:
            if self.book.opened_on is None:
                return
            self._open(min(day, self._next_opening(day)))

    def post_fees(self) -> None:
        """Post the fees that have arisen since the last time."""
        for fee in self.book.new_fees:
            self.entries.append(posting.fee(fee))
        self.book.new_fees.clear()

    def apply_unapplied(self, key: str, amount: int, on: date) -> None:
        """Put unapplied funds (minor units, no more than there are) through the waterfall, and keep what is left over."""
        book = self.book
        self.settle_memo(on)
        allocation = apply(book, key, amount, on)
        book.unapplied -= amount - allocation.unapplied
        self.applications[key] = allocation
        self.post_fees()
        entry = posting.unapplied_applied(allocation, non_accrual=book.non_accrual)
        if entry.transfers:
            self.entries.append(entry)
        self.resume_accrual(on)

    def settle_memo(self, on: date) -> None:
        """Money goes to a loan, maybe the last of a charged-off one: what that earned until now is memo."""
        if self.book.status is LoanStatus.CHARGED_OFF:
            self.accruals.settle(self.book, on)

    def resume_accrual(self, on: date) -> None:
        """Go back to accrual if what has just happened has cured the loan."""
        book = self.book
        if (book.non_accrual or book.non_accrual_set is not None) and non_accrual.is_cured(book, on):
            if book.non_accrual_set is False:
                book.non_accrual_set = None
            if book.non_accrual and not book.non_accrual_set:
                self.set_non_accrual(False, on)

    def set_non_accrual(self, begins: bool, on: date) -> None:
        """Go on non-accrual, or back to accrual: interest earned by the close of `on` and unpaid changes sides."""
        book = self.book
        self.accruals.settle(book, on)
        unpaid = earned(book, on) - book.interest_paid
        book.non_accrual = begins
        if unpaid:
            before = sum(entry.kind is EntryKind.NON_ACCRUAL and entry.effective_date == on for entry in self.entries)
            self.entries.append(posting.non_accrual(unpaid if begins else -unpaid, on, before + 1))

    def _next_opening(self, day: date) -> date:
        """The next day up to `day` at whose opening something may arise that depends on what came before it."""
        book = self.book
        program = book.terms.program
        if book.status is not _ACTIVE:
            return day
        fee_day = next_late_fee_day(book)
        if fee_day is not None and self.opened < fee_day < day:
            day = fee_day  # it is assessed on the instalment as it stands then
        applies = book.waiting > 0
        # by day the rows to come are only foreseen: which are due, and how much is, shows on their due dates
        if applies or program.instalment_fee or program.interest_method is InterestMethod.SIMPLE_DAILY:
            dues = book.plan.due_dates
            index = bisect_right(dues, self.opened)
            if index < len(dues):
                day = min(day, dues[index])
        if program.non_accrual_days is not None:
            begins = non_accrual.next_day(book)
            if begins is not None:  # past due enough already: because it was boarded so, or money was taken back
                day = min(day, max(begins, self.opened + _ONE_DAY))
        return day

    def _open(self, day: date) -> None:
        book = self.book
        program, active = book.terms.program, book.status is _ACTIVE
        self.delinquency.see(book, day - _ONE_DAY)
        self.accruals.pass_months(book, day)
        self.opened = day
        if not active:
            return
        book.method.bring(book, day)
        assess_late_fees(book, day)
        if program.instalment_fee:
            assess_instalment_fees(book, day)
        if book.new_fees:
            self.post_fees()
        if book.waiting:
            self._apply_what_is_due(day)
        if program.non_accrual_days is not None and non_accrual.due_to_begin(book, day):
            self.set_non_accrual(True, day)

    def _apply_what_is_due(self, day: date) -> None:
        """On a due date unapplied funds pay what is due by then: the instalment, and what is past due and fees."""
        book = self.book
        index = bisect_right(book.rows, day, key=_due_date)
        if not index or book.rows[index - 1].due_date != day:
            return
        book.method.bring(book, day)
        due = book.fees_balance + sum(row.unpaid for row in book.rows[book.first_open : index])
        if due:
            amount = min(due, book.waiting)
            book.set_aside = max(0, book.set_aside - amount)
            self.apply_unapplied(day.isoformat(), amount, day)


def _due_date(row: OpenRow) -> date:
    return row.due_date
