"""Interest method `simple_daily` (US simple interest): every day bears interest on the principal unpaid that day.

Paying early costs less, paying late costs more. Accrued interest is exact between payments; a payment takes it rounded,
and the remainder is dropped where all of it is taken. What is not taken is carried, and bears nothing itself.

An instalment keeps its payment; how it splits follows what has accrued. Accrued interest belongs to the oldest
instalments not paid, up to their payments, so the late days' interest is paid before the principal of a late instalment,
which is still paid in full by its payment; the last instalment is larger for it. Where the program has no interest on
past-due principal, an instalment's split stands from its due date on, and the principal of it bears nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from copy import copy
from datetime import date, timedelta
from fractions import Fraction

from domain.allocation import by_instalment, due_claims, pay_claims
from domain.amortization import Row
from domain.daily_accrual import Accrual, bearing, bears, per_diem
from domain.daily_interest import NOTHING, Due, Ratio, accrued, pay_as_stated
from domain.daily_rows import Payments, all_claims, due_rows, note_complete, split, unpaid_principal
from domain.loan import AllocationLine, LoanStatus, PayoffQuote
from domain.plan import Plan
from domain.program import AdvanceOrder, Component, ExtraMoney, PayoffInterest
from domain.projection import least
from domain.working import Book, OpenRow


class SimpleDaily:
    """The rules of the method, and what one replay must remember of the interest accrued.

    `_next`: the index in the plan of the first instalment not due yet.
    """

    __slots__ = ("_accrual", "_next", "_payments")

    def __init__(self) -> None:
        self._accrual = Accrual()
        self._payments = Payments()
        self._next = 0

    def open(self, book: Book, first: int, on: date) -> None:
        """Interest brought in is the oldest instalments'; days before `on` bear nothing of ours."""
        self._accrual, self._next = Accrual((book.brought_interest, 1), through=on), first
        self.bring(book, on)
        self.foresee(book, on)

    def bring(self, book: Book, on: date) -> None:
        """Instalments due up to `on` fall due, each on its day. After the last due date all that is left is due."""
        dues = book.plan.due_dates
        while self._next < len(dues) and dues[self._next] <= on:
            self._accrual.reach(book, dues[self._next])
            self._fall_due(book)
        if self._next == len(dues):
            self._split_due(book, self._owed(book, on))
        elif book.principal_balance and not self._has_current_row(book):
            owed, left = self._split_due(book, self._owed(book))
            if left:
                row = self._current_row(book)
                split(row, min(self._payments.unpaid(book, row, self._accrual.accrued, owed), left), 0)

    def foresee(self, book: Book, on: date) -> None:
        """Due instalments as they split on `on`, and those to come as they will be if each one is paid on its due date, and
        what is past due with the next one."""
        self.bring(book, on)
        held = {row.number: row for row in book.rows[book.current :] if row.principal_paid or row.interest_paid}
        made = self._project(book, held, on)
        for number, _, payment, interest, _, _ in made:
            row = held.setdefault(number, self._new_row(book, number))
            split(row, payment, interest)
            note_complete(book, row)
        for number in held.keys() - {row[0] for row in made}:
            split(held[number], 0, 0)
            note_complete(book, held[number])
        book.rows[book.current :] = [held[number] for number in sorted(held)]
        book.first_open = min(book.first_open, book.current)
        book.skip_paid()

    def seen(self, book: Book, on: date) -> Book:
        """A copy: what is foreseen is wrong as soon as something is not paid on its day."""
        self.bring(book, on)
        seen, first = copy(book), min(book.first_open, book.current)
        held = [row for row in book.rows[book.current :] if row.principal_paid or row.interest_paid]
        seen.rows = book.rows[:first] + [row.copy() for row in (*book.rows[first : book.current], *held)]
        self.foresee(seen, on)
        return seen

    def _project(self, book: Book, held: dict[int, OpenRow], on: date) -> list[Row]:
        """What is left to pay of the instalments to come; `held`: those of which something is paid."""
        interest = self._accrual.on(book, on)
        owed = self._accrual.owed(book, interest)
        rest, _ = self._split_due(book, owed)
        taken, older, bearing_now = book.interest_paid - self._accrual.settled, owed - rest, bearing(book)
        due = [row for row in due_rows(book) if row.unpaid]
        principal = book.principal_balance - unpaid_principal(due)
        if due and due[0].due_date == on:
            bearing_now = principal
            if owed and not rest:
                interest, taken, older = NOTHING, 0, 0
        dues, interest = self._dues_to_come(book, held, on, bearing_now, interest)
        last, rounding = len(book.plan.due_dates), book.terms.program.rounding
        return pay_as_stated(principal, dues, rounding, carried=interest, taken=taken, older=older, settles=last)

    def earned(self, book: Book, on: date) -> int:
        self.bring(book, on)
        return self._accrual.earned(book, self._accrual.on(book, on))

    def pay(self, book: Book, amount: int, on: date, lines: list[AllocationLine], advance: AdvanceOrder) -> int:
        """At least the payoff pays the loan off; less pays what is due, then the current instalment (interest accrued to
        the day, then principal up to its payment), and only then is extra."""
        self._accrue_to(book, on)
        total = self._payoff_total(book, on)
        if amount >= total:
            return self._pay_off(book, amount, on, lines)
        paid_before = book.interest_paid
        self._split_due(book, self._owed(book))
        rest = pay_claims(book, due_claims(book, due_rows(book)), amount, on, lines)
        if rest and self._next < len(book.plan.due_dates):
            rest = self._pay_current(book, rest, on, lines)
            rest = self._pay_extra(book, rest, on, lines, advance)
        if rest and self._nothing_owed(book):
            rest = self._pay_today(book, rest, total - amount, on, lines)
        self._drop_remainder(book, paid_before)
        if book.first_open == len(book.rows):
            self.foresee(book, on)
        if self._nothing_owed(book):
            self._close(book, on)
        return rest

    def payoff(self, book: Book, on: date) -> PayoffQuote:
        """Principal, accrued interest rounded once, and fees."""
        principal, interest, fees = book.principal_balance, self._payoff_interest(book, on), book.fees_balance
        return PayoffQuote(principal, interest, fees, principal + interest + fees, per_diem(book, on))

    def per_diem(self, book: Book, on: date) -> Fraction:
        """Principal that bears interest x rate x the part of a year of the day after `on`."""
        return per_diem(book, on)

    def remake(self, book: Book, on: date) -> None:
        """Instalments due after `on` follow the plan as it is now, and one due on `on` for which a payment is stated."""
        self._accrual.reach(book, on)
        book.moved_interest = 0
        dues = book.plan.due_dates
        self._next = bisect_right(dues, on)
        if self._next and dues[self._next - 1] == on and self._next in book.plan.stated:
            self._next -= 1
        book.current = bisect_right(book.rows, self._next, hi=book.current, key=_number)
        for row in book.rows[book.current :]:
            if row.number <= len(dues):  # of one after them, what was paid stays
                row.due_date, row.period_start = dues[row.number - 1], book.plan.starts[row.number - 1]
                row.deferred = book.plan.stated.get(row.number) == 0
        self.foresee(book, on)

    def level_payment(self, book: Book, plan: Plan, on: date) -> int:
        """The least for which the last instalment (less the balloon) is not more than it."""
        held = {row.number: row for row in book.rows[book.current :] if row.principal_paid or row.interest_paid}
        balloon = plan.shape.balloon if plan.shape.balloon < book.principal_balance else 0
        agreed = book.plan

        def settles(payment: int) -> bool:
            book.plan = plan.with_level_payment(payment, plan.at_first)
            rows = self._project(book, held, on)
            return not rows or rows[-1].payment - balloon <= payment

        try:
            return least(settles, plan.level_payment)
        finally:
            book.plan = agreed

    def waive_interest(self, book: Book, amount: int, on: date) -> int:
        """What is waived counts for the due instalments, oldest first, and then for the current one."""
        self._accrue_to(book, on)
        paid_before = book.interest_paid
        owed = self._owed(book)
        left = waived = min(amount, owed)
        rest, _ = self._split_due(book, owed)
        claims = [(row, row.interest - row.interest_paid) for row in due_rows(book)]
        if rest:
            row = self._current_row(book)
            row.interest = max(row.interest, row.interest_paid + rest)
            claims.append((row, rest))
        for row, unpaid in claims:
            part = min(left, unpaid)
            row.interest_paid += part
            row.interest_waived += part
            book.interest_paid += part
            left -= part
            if part and not row.unpaid:
                row.paid_on = on
        self._drop_remainder(book, paid_before)
        self.foresee(book, on)
        return waived

    def charge_off(self, book: Book, on: date) -> None:
        self.foresee(book, on)

    def chargeback(self, book: Book, principal: int, interest: int, on: date) -> None:
        """The current instalment's payment rises by it; where nothing else was owed, it is the last one and takes all. After
        the last due date the last instalment takes all anyway."""
        self._accrue_to(book, on)
        if self._nothing_owed(book):
            book.plan = book.plan.trimmed(self._next + 1)
        book.principal_balance += principal
        self._accrual.settled += interest
        if self._next < len(book.plan.due_dates):
            self._payments.add(self._next + 1, principal + interest)
        book.first_open = 0
        self.foresee(book, on)

    def _payoff_total(self, book: Book, on: date) -> int:
        return book.principal_balance + self._payoff_interest(book, on) + book.fees_balance

    def _nothing_owed(self, book: Book) -> bool:
        return not (book.principal_balance or book.fees_balance or self._owed(book))

    def _payoff_interest(self, book: Book, on: date) -> int:
        """Payoff by `accrued` and by `per_diem` are the same here, but that a per diem may count today."""
        program = book.terms.program
        today = program.payoff_interest is PayoffInterest.PER_DIEM and program.payoff_counts_today
        return self._owed(book, on + timedelta(days=today))

    def _accrue_to(self, book: Book, on: date) -> None:
        self.bring(book, on)
        self._accrual.reach(book, on)

    def _owed(self, book: Book, on: date = date.min) -> int:
        """Interest owed at the close of `on`; by default on the day reached."""
        return self._accrual.owed(book, self._accrual.on(book, on))

    def _drop_remainder(self, book: Book, paid_before: int) -> None:
        """Money has been paid: did it take all the interest that was owed?"""
        if book.interest_paid > paid_before and not self._owed(book):
            self._accrual.drop_remainder(book)

    def _split_due(self, book: Book, owed: int) -> tuple[int, int]:
        """Split the due instalments by the interest owed; returns what remains of it, and of all that is owed, beyond
        them. Past the last due date the last one takes whatever is left."""
        left = book.principal_balance + owed
        last = book.current - 1 if self._next == len(book.plan.due_dates) else -1
        stands = not book.terms.program.past_due_interest
        for index in range(min(book.first_open, book.current), book.current):
            row = book.rows[index]
            unpaid = left if index == last else min(row.unpaid, left)
            interest = min(owed, unpaid)
            if stands and index != last:
                interest = min(interest, row.interest - row.interest_paid)
            split(row, unpaid, interest)
            owed -= interest
            left -= unpaid
        return owed, left

    def _fall_due(self, book: Book) -> None:
        """The next instalment falls due: from now on its payment stands. There is none where nothing is left to pay."""
        owed, left = self._split_due(book, self._owed(book))
        row = self._current_row(book)
        self._next += 1
        if left <= 0 and not (row.principal_paid or row.interest_paid):
            del book.rows[book.current]
            return
        settles = row.number == len(book.plan.due_dates)
        unpaid = left if settles else min(self._payments.unpaid(book, row, self._accrual.accrued, owed), left)
        split(row, unpaid, min(owed, unpaid))
        note_complete(book, row)
        if not book.terms.program.past_due_interest and 0 < owed <= unpaid:
            self._accrual.drop_remainder(book)
        if unpaid:
            book.first_open = min(book.first_open, book.current)
        book.current += 1

    def _current_row(self, book: Book) -> OpenRow:
        """The first instalment not due yet, made where it is not there; the last one where all are due."""
        rows, at = book.rows, book.current
        if self._next == len(book.plan.due_dates):
            return rows[at - 1]
        if not self._has_current_row(book):
            rows.insert(at, self._new_row(book, self._next + 1))
            book.first_open = min(book.first_open, at)
        return rows[at]

    def _has_current_row(self, book: Book) -> bool:
        at = book.current
        return at < len(book.rows) and book.rows[at].number == self._next + 1

    def _new_row(self, book: Book, number: int) -> OpenRow:
        plan = book.plan
        deferred = plan.stated.get(number) == 0
        return OpenRow(number, plan.due_dates[number - 1], plan.starts[number - 1], 0, 0, deferred=deferred)

    def _dues_to_come(
        self, book: Book, held: dict[int, OpenRow], on: date, principal: int, interest: Ratio
    ) -> tuple[list[Due], Ratio]:
        """The instalments not due yet that are not paid, with what is left to pay of them, and the interest accrued when
        the first of them is due: that of `principal` from `on` to then, on top of `interest`."""
        plan = book.plan
        dues: list[Due] = []
        start, last = on, len(plan.due_dates)
        for number in range(self._next + 1, last + 1):
            day, row = plan.due_dates[number - 1], held.get(number)
            period = bears(book, start, day)
            carried = interest if dues else accrued(interest, principal, period)
            due = self._payments.due(book, number, carried, period if dues else NOTHING)
            if row is not None:
                left = due.payment - row.principal_paid - row.interest_paid
                if left <= 0 and number < last and not due.plus_interest:
                    continue
                due = due._replace(payment=max(0, left))
            dues.append(due)
            start, interest = day, carried
        return dues, interest

    def _pay_current(self, book: Book, rest: int, on: date, lines: list[AllocationLine]) -> int:
        row = self._current_row(book)
        owed = self._owed(book)
        left = book.principal_balance + owed
        if row.number < len(book.plan.due_dates):
            shaped = row.number <= max(1, book.plan.shape.interest_only)
            interest = self._accrual.on(book, row.due_date) if shaped else self._accrual.accrued
            left = min(left, self._payments.unpaid(book, row, interest, self._accrual.owed(book, interest)))
        split(row, left, min(owed, left))
        rest = pay_claims(book, by_instalment(book, [row], []), rest, on, lines)
        self._payments.note_paid_up(row)
        return rest

    def _pay_extra(self, book: Book, rest: int, on: date, lines: list[AllocationLine], advance: AdvanceOrder) -> int:
        """Money beyond what is due and the current instalment, as the program says; returns what stays unapplied.

        principal_only: accrued interest comes first, on top of the current instalment, so that the next ones stay whole.
        advance_due: accrued interest comes first too, as a part of the instalments that are paid ahead.
        """
        if not rest:
            return 0
        match book.extra_money:
            case ExtraMoney.PRINCIPAL_ONLY:
                row = self._current_row(book)
                interest = min(rest, self._owed(book))
                row.interest += interest
                rest = pay_claims(book, all_claims([row]), rest, on, lines)
                self._payments.note_paid_up(row)
                amount = min(rest, book.principal_balance)
                if amount:
                    book.pay_principal(amount, on)
                    lines.append(AllocationLine(Component.PRINCIPAL, amount))
                return rest - amount
            case ExtraMoney.ADVANCE_DUE:
                self.foresee(book, on)
                rows = book.rows[book.current + 1 :]
                for row in rows if advance is AdvanceOrder.NEXT else reversed(rows):
                    owed = self._owed(book)
                    unpaid = min(row.unpaid, book.principal_balance + owed)
                    split(row, unpaid, min(owed, unpaid))
                    rest = pay_claims(book, by_instalment(book, [row], []), rest, on, lines)
                    self._payments.note_paid_up(row)
                    if not rest:
                        break
                return rest
            case _:
                return rest

    def _pay_today(self, book: Book, rest: int, short: int, on: date, lines: list[AllocationLine]) -> int:
        """Money beyond all that has accrued, less than the payoff by `short`: a payoff takes today's interest too."""
        row = self._current_row(book)
        row.interest += rest
        self._accrual.settled += rest + short
        rest = pay_claims(book, all_claims([row]), rest, on, lines)
        self._payments.note_paid_up(row)
        return rest

    def _pay_off(self, book: Book, rest: int, on: date, lines: list[AllocationLine]) -> int:
        """Everything is paid: instalments to come are their principal, the current one with the interest accrued."""
        interest = self._payoff_interest(book, on)
        self.foresee(book, on)
        due, to_come = due_rows(book), book.rows[book.current :]
        for later in to_come:
            later.interest = later.interest_paid
        interest -= sum(row.interest - row.interest_paid for row in due)
        if interest:
            self._current_row(book).interest += interest
            to_come = book.rows[book.current :]
        book.rows[book.current :] = to_come = [row for row in to_come if row.principal or row.interest]
        rest = pay_claims(book, due_claims(book, due), rest, on, lines)
        rest = pay_claims(book, all_claims(to_come), rest, on, lines)
        for later in to_come:
            self._payments.note_paid_up(later)
        self._close(book, on)
        return rest

    def _close(self, book: Book, on: date) -> None:
        for row in book.rows:
            row.principal, row.interest = row.principal_paid, row.interest_paid
            row.paid_on = row.paid_on or on
        self._accrual.settled, self._accrual.accrued = book.interest_paid, NOTHING
        book.status, book.paid_off_on = LoanStatus.PAID_OFF, on


def _number(row: OpenRow) -> int:
    return row.number
