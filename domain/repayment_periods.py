"""The repayment periods of a loan whose interest follows the actual principal (interest method `recalculated`).

Each period has an instalment that is kept, and bears interest on the principal actually out: it is cut into spans where
that principal changes. Its interest is the spans' interest rounded once; what is left of the instalment is principal.
The last open instalment takes the difference, so that all principal and all interest are in some instalment.

An instalment paid early is closed with the interest paid of it; interest that then still accrues in its period goes to
the next one, or, when every later one is paid too, back to the last open one. Principal past due is added to what bears
interest until the day the loan was last brought to, and is assumed paid from then on.

Days are proleptic ordinals, money is `int` minor units. Source of the rules: Apache Fineract's progressive loans, as the
conventions of instalment_servicing.json state them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from domain.repayment_period import PastDue, Payable, Period
from domain.rounding import Rounding

Weigh = Callable[[int, int], tuple[int, int]]
"""(index of a period, day in it) -> the interest a minor unit bears a day from then to the due date, as a ratio."""


@dataclass(slots=True)
class RepaymentPeriods:
    """The periods of one loan and what was paid of them. Days only go forward.

    `lent`: principal paid out and charged back; `repaid`: principal paid. `interest`, `payments`: sums over the periods.
    `horizon` (of a copy): the day to which interest counts. `passed`: periods due before the day brought to. `changed`:
    indices of the periods that were derived anew since the caller last cleared it.
    """

    periods: list[Period]
    lent: int
    weigh: Weigh
    rounding: Rounding
    repaid: int = 0
    interest: int = 0
    payments: int = 0
    horizon: int | None = None
    passed: int = 0
    brought_to: int | None = None
    past_due: list[PastDue] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)
    _dirty: set[int] = field(default_factory=set)
    _owing: int = 0
    deferring: bool = False
    _largest: int = 0

    @property
    def outstanding(self) -> int:
        """Principal not repaid."""
        return self.lent - self.repaid

    def period_of(self, day: int) -> int:
        """The index of the period in which `day` ends (its due date is its last day, its start the last one before it);
        the first one for days before, the last one for days after them all."""
        periods = self.periods
        index = min(self.passed, len(periods) - 1)
        while index and periods[index].start >= day:
            index -= 1
        while index < len(periods) - 1 and periods[index].due < day:
            index += 1
        return index

    def bring(self, day: int) -> None:
        """The periods up to the one of `day` as they stand then."""
        target = min(day, self.periods[-1].due)
        while self.passed < len(self.periods) and self.periods[self.passed].due < target:
            self.passed += 1
        current = self.period_of(target + 1)
        self._rebalance(current)
        if self._dirty and current >= (self._last_open() or 0):
            self.settle(target)

    def bear_past_due(self, day: int) -> None:
        """Principal past due bears interest until `day`; from then on it is assumed paid."""
        for period in self.periods[min(self._owing, self.passed) :]:
            if period.due >= day:
                break
            if (self.brought_to or 0) < period.due:
                self._bear_past_due(period.due)  # what an instalment takes of the difference by then is past due too
        self._bear_past_due(day)

    def _bear_past_due(self, day: int) -> None:
        self.bring(day)
        periods, before = self.periods, self.brought_to or 0
        target = min(day, periods[-1].due)
        while self._owing < self.passed and not periods[self._owing].principal_owed:
            self._owing += 1
        if target <= before or self._owing == self.passed:
            return
        current, index, total = self.period_of(target), self._owing, 0
        while index < self.passed:
            since, owed = max(periods[index].due, before), 0
            while index < self.passed and max(periods[index].due, before) == since:
                owed += periods[index].principal_owed
                index += 1
            self.change(since, owed, past_due=True)
            self._rebalance(current)
            total += owed
        self.change(target, -total, past_due=True)
        self.brought_to = target
        self._settle(target)

    def payable(self, index: int, day: int) -> Payable:
        """What the instalment takes on `day`, before its due date: the interest accrued to then, the rest principal. One
        whose period has not begun takes what its level payment has beyond the interest passed on to it."""
        if self.horizon is None and self._needs_copy(index, day):
            return self.at(day).payable(index, day)
        current = self.period_of(day)
        carried = self.periods[current - 1].unplaced if current else 0
        for period in self.periods[current:index]:
            carried = period.shares(period.borne(day, self.rounding), carried, period.payment)[2]
        period = self.periods[index]
        accrued, payment = period.borne(day, self.rounding), period.payment
        principal, interest, _ = period.shares(accrued, carried, payment)
        if day <= period.start:
            if self._several_open():
                payment += period.level - period.instalment
                owed = period.shares(accrued, carried, payment)[0] - period.principal_paid
                payment -= max(0, owed - self.outstanding)
            elif not period.open and self._last_open() is not None:
                most = self.outstanding + period.principal_paid + interest
                payment += min(period.level, most) - period.instalment
            principal, interest, _ = period.shares(accrued, carried, payment)
        return Payable(principal, interest)

    def pay_interest(self, index: int, day: int, amount: int) -> None:
        """Record interest paid on `day`."""
        if index == self._last_open() and day >= self.periods[index].due:
            self._defer(index, day)
        period = self.periods[index]
        period.interest_paid += amount
        if period.paid > period.payment:  # waived of an instalment whose payment was taken up by principal
            self.set_instalment(index, period.paid - period.credited)
        self._derive_from(index)
        self._settle(day)

    def pay_principal(self, index: int, day: int, amount: int) -> None:
        """Record principal paid on `day`: it bears no interest from then on, or from the due date when that was before
        (what it bore since then is in the past-due interest)."""
        period = self.periods[index]
        period.principal_paid += amount
        self.repaid += amount
        self._derive_from(index)
        self.change(min(day, period.due), -amount)
        self._settle(day)
        complete = period.paid > period.payment or period.paid == period.level + period.credited
        if complete and day < period.start and self._several_open():
            self.set_instalment(index, period.paid - period.credited)
            self._settle(day)

    def credit(self, day: int, principal: int, interest: int, bears_from: int) -> None:
        """Principal and interest charged back on `day` are due with the instalment of the period that holds it. The
        principal bears interest from the end of `bears_from` on."""
        day, bears_from = min(day, self.periods[-1].due), min(bears_from, self.periods[-1].due)
        last = len(self.periods) - 1
        index = next((i for i in range(last) if day < self.periods[i].due), last)
        period = self.periods[index]
        period.credited_principal += principal
        period.credited_interest += interest
        self.lent += principal
        self._paying_more(index, principal + interest)
        self.change(bears_from, principal)
        self.settle(day)

    def settle(self, day: int) -> None:
        """Balances follow from what changed, and the last open instalment takes the difference. `day`: to when interest
        of periods that are paid already counts."""
        self._rebalance(len(self.periods) - 1)
        self._settle_last(day)

    def _settle(self, day: int) -> None:
        """`settle`, but leave what comes after the current period for later where it makes no difference until it is asked
        for."""
        if self.horizon is None and not self.deferring and 2 * self._largest <= self.outstanding:
            current, last = self.period_of(day + 1), self._last_open()
            if last is not None and current < last and not self._may_defer(last, day):
                self._rebalance(current)
                return
        self.settle(day)

    def at(self, day: int) -> RepaymentPeriods:
        """A copy as if interest ended on `day`: what is owed then."""
        copied = self.copy()
        copied.end_interest(day)
        return copied

    def end_interest(self, day: int) -> None:
        """Nothing bears interest after `day`."""
        self.horizon = day
        self.derive_all(day)

    def interest_to(self, index: int, day: int) -> int:
        """The interest a period has borne to `day`, with what is carried into it, whether its instalment has room or not."""
        period = self.periods[index]
        return period.due_of(period.borne(day, self.rounding), period.carried)

    def copy(self) -> RepaymentPeriods:
        """A copy of its own: changing it changes nothing here."""
        periods = [period.copy() for period in self.periods]
        return replace(self, periods=periods, past_due=list(self.past_due), changed=set(), _dirty=set(self._dirty))

    def derive_all(self, day: int) -> None:
        """Everything anew, after the periods were changed from outside."""
        self.interest = sum(period.interest for period in self.periods)
        self.payments = sum(period.payment for period in self.periods)
        self._largest = max(period.payment for period in self.periods)
        self._dirty = set(range(len(self.periods)))
        self.settle(day)

    def _needs_copy(self, index: int, day: int) -> bool:
        """Whether a horizon may change the instalment by which `payable` is: near the end of the loan only."""
        if self.deferring or self._largest > self.outstanding:
            return True
        if day <= self.periods[index].start:
            return 2 * self._largest > self.outstanding
        return index == self._last_open()

    def change(self, day: int, amount: int, *, past_due: bool = False) -> None:
        """The balance changes by `amount` at the end of `day`. Past-due interest that goes on where it had ended leaves no
        trace there (nor in the period): days to which the loan was brought, but on which nothing happened, make no
        difference."""
        index = self.period_of(day)
        if past_due:
            if self.past_due and self.past_due[-1][:2] == (day, -amount):
                self.past_due.pop()
            else:
                self.past_due.append(PastDue(day, amount, self.periods[index].due))
        self._dirty.add(index)
        self.periods[index].change(day, amount, lambda: self.weigh(index, day), past_due=past_due)

    def _rebalance(self, to: int) -> None:
        """Derive the changed periods anew, and those after them (to the index `to`) as far as it makes a difference."""
        periods, dirty, index = self.periods, self._dirty, -1
        while dirty or index >= 0:
            if index < 0:
                index = min(dirty)
            if index > to:
                dirty.add(index)
                return
            period = periods[index]
            balance, carried = period.spans[0].balance, 0
            if index:
                before = periods[index - 1]
                last = before.spans[-1]
                balance = max(0, last.balance + last.change + before.principal_paid - before.principal)
                carried = before.unplaced
            if index not in dirty and balance == period.spans[0].balance and carried == period.carried:
                index = -1
                continue
            dirty.discard(index)
            period.carried = carried
            for span in period.spans:
                span.balance = balance
                balance = max(0, balance + span.change)
            period.accrued = period.borne(self.horizon, self.rounding)
            self._derive(index)
            index += 1
            if index == len(periods):
                index = -1

    def _derive(self, index: int) -> None:
        period = self.periods[index]
        self.interest -= period.interest
        period.principal, period.interest, period.unplaced = period.shares(period.accrued, period.carried, period.payment)
        self.interest += period.interest
        self.changed.add(index)

    def _derive_from(self, index: int) -> None:
        """Derive a period whose instalment or payments changed, and those to which its interest is carried."""
        self._derive(index)
        self._dirty.add(index)
        while index + 1 < len(self.periods) and self.periods[index + 1].carried != self.periods[index].unplaced:
            self.periods[index + 1].carried = self.periods[index].unplaced
            index += 1
            self._derive(index)
            self._dirty.add(index)

    def _paying_more(self, index: int, amount: int) -> None:
        """The payment of an instalment rose by `amount`."""
        self.payments += amount
        self._largest = max(self._largest, self.periods[index].payment)
        self._derive_from(index)

    def set_instalment(self, index: int, instalment: int) -> None:
        """An instalment is another than it was, what was charged back and deferred to it left aside."""
        period = self.periods[index]
        more = instalment - period.instalment
        period.instalment = instalment
        self._paying_more(index, more)

    def _last_open(self, before: int | None = None) -> int | None:
        """The index of the last instalment open; `before`: where those from that index on are known not to be."""
        end = len(self.periods) if before is None else before
        return next((index for index in range(end - 1, -1, -1) if self.periods[index].open), None)

    def _several_open(self) -> bool:
        last = self._last_open()
        return last is not None and any(self.periods[index].open for index in range(last - 1, -1, -1))

    def _settle_last(self, day: int, before: int | None = None) -> None:
        """No instalment asks for more principal than there is, and the last open one (see `_last_open`) takes the
        difference."""
        if self._largest > self.outstanding:
            for index, period in enumerate(self.periods):
                excess = period.principal_owed - self.outstanding
                if excess > 0:
                    self.set_instalment(index, max(period.instalment - excess, period.paid - period.credited, 0))
        last = self._last_open(before)
        if last is None:
            if self.lent + self.interest <= self.payments:
                return
            last = len(self.periods) - 1
        self._owing = min(self._owing, last)
        self._take_back(last)
        if self._take_difference(last) < 0:
            self._settle_last(day, last + 1)
            return
        period = self.periods[last]
        if period.unplaced and self._several_open():  # more principal was paid of it than it has now: an earlier one settles
            self.set_instalment(last, period.paid - period.credited)
            self._settle_last(day)
            return
        self._defer(last, day)
        self._take_difference(last)

    def _take_difference(self, index: int) -> int:
        """The instalment takes the difference, with the interest it had no room for, but is not less than what was paid of
        it; returns what is left."""
        period = self.periods[index]
        difference = self.lent + self.interest - self.payments + period.unplaced
        taken = max(difference, period.paid - period.payment)
        if taken:
            self.set_instalment(index, period.instalment + taken)
        return difference - taken

    def _take_back(self, index: int) -> None:
        """Undo deferring to the instalment `index`."""
        period = self.periods[index]
        if period.deferred:
            less, period.deferred = period.deferred, 0
            self._paying_more(index, -less)
        if self.deferring:
            for later, other in enumerate(self.periods):
                if other.passed_on:
                    other.passed_on = False
                    self._derive_from(later)
            self.deferring = False

    def _defer(self, index: int, day: int) -> None:
        """Interest that later periods, which are paid, bear to `day` is due with the instalment `index`, the last open.

        Past-due interest is not counted where it ended in that instalment's own period: it is in it already.
        """
        if not self._may_defer(index, day):
            return
        due = self.periods[index].due
        copied = self.copy()
        copied.horizon = day
        own = any(part.due == due for part in self.past_due) and not any(part.due > due for part in self.past_due)
        if own:
            for part in self.past_due:
                copied.change(part.day, -part.amount)
        for later, period in enumerate(copied.periods):
            period.accrued = period.borne(day, self.rounding)
            copied._derive_from(later)
        if own:
            copied._rebalance(len(self.periods) - 1)
        unplaced = copied.periods[-1].unplaced
        if unplaced:
            period = self.periods[index]
            more, period.deferred = unplaced - period.deferred, unplaced
            self._paying_more(index, more)
            for later in range(index + 1, len(self.periods)):
                self.periods[later].passed_on = True
                self._derive_from(later)
            self.deferring = True

    def _may_defer(self, index: int, day: int) -> bool:
        """Whether interest borne to `day` can lie after the instalment `index`: then it is past, or one has no room."""
        if index == len(self.periods) - 1:
            return False
        if day > self.periods[index].due:
            return True
        current = self.period_of(day)
        period = self.periods[current]
        carried = self.periods[current - 1].unplaced if current else 0
        return period.shares(period.borne(day, self.rounding), carried, period.payment)[2] > 0
