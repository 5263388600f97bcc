"""A second engine for simple daily interest: one day at a time, in fractions of a cent, with nothing in closed form.

It knows loans on which nothing happens but payments, that pay interest first and have no fees; extra money is principal.
"""

from __future__ import annotations

from calendar import isleap
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fractions import Fraction
from math import floor

from hypothesis import assume
from hypothesis import strategies as st

from domain.errors import InvalidTerms
from domain.plan import contract
from domain.program import AllocationScope, DayCount, Frequency, InterestMethod, Program
from domain.rounding import Rounding
from domain.terms import LoanTerms

A_DAY = timedelta(days=1)


def part_of_a_year(day_count: DayCount, night: date, periods: list[tuple[date, date]]) -> Fraction:
    """The night from `night` to the next day."""
    morning = night + A_DAY
    match day_count:
        case DayCount.ACT_360:
            return Fraction(1, 360)
        case DayCount.ACT_365F:
            return Fraction(1, 365)
        case DayCount.ACT_ACT_ISDA:
            return Fraction(1, 365 + isleap(night.year))
        case DayCount.ACT_ACT_DEC31:
            return Fraction(1, 365 + isleap(morning.year))
        case _:
            start, due = next(((start, due) for start, due in periods if start <= night < due), (night, morning))
            days = (start + timedelta(days=number) for number in range(1, (due - start).days + 1))
            leap = any((day.month, day.day) == (2, 29) for day in days)
            return Fraction(1, 365 + (leap and isleap(morning.year)))


def rounded(amount: Fraction, rounding: Rounding) -> int:
    return round(amount) if rounding is Rounding.HALF_EVEN else floor(amount + Fraction(1, 2))


@dataclass
class Model:
    """`exact` is all interest borne, `since` that since the last payment which took all of it; `unpaid` the instalments
    that are due, by due date; `ahead` what was paid of the current one."""

    terms: LoanTerms
    principal: int
    since: Fraction = Fraction(0)
    exact: Fraction = Fraction(0)
    paid_since: int = 0
    interest_paid: int = 0
    unpaid: dict[date, int] = field(default_factory=dict)
    ahead: int = 0

    @property
    def owed(self) -> int:
        return rounded(self.since, self.terms.program.rounding) - self.paid_since

    def pass_night(self, night: date) -> None:
        plan = contract(self.terms).plan
        part = part_of_a_year(self.terms.program.day_count, night, list(zip(plan.starts, plan.due_dates, strict=True)))
        self.since += self.principal * self.terms.annual_rate * part
        self.exact += self.principal * self.terms.annual_rate * part

    def fall_due(self, day: date) -> None:
        plan = contract(self.terms).plan
        left = self.principal + self.owed - sum(self.unpaid.values())
        payment = max(0, plan.level_payment - self.ahead)
        self.unpaid[day] = left if day == plan.due_dates[-1] else min(payment, left)
        self.ahead = 0

    def pay(self, amount: int, on: date) -> tuple[int, int, int]:
        """Interest, principal and what is left over."""
        owed, principal = self.owed, self.principal
        interest = min(amount, owed)
        paid = min(amount - interest, principal)
        self.principal -= paid
        self.interest_paid += interest
        self.paid_since += interest
        if interest and interest == owed:
            self.since, self.paid_since = Fraction(0), 0
        rest = interest + paid
        for day in sorted(self.unpaid):
            taken = min(rest, self.unpaid[day])
            self.unpaid[day] -= taken
            rest -= taken
        self.ahead = min(self.ahead + rest, contract(self.terms).plan.level_payment)
        return interest, paid, amount - interest - paid

    def oldest(self, on: date) -> date | None:
        dues = contract(self.terms).plan.due_dates
        if on > dues[-1]:
            left = self.principal + self.owed
            self.unpaid[dues[-1]] = left - sum(amount for day, amount in self.unpaid.items() if day != dues[-1])
        return min((day for day, amount in self.unpaid.items() if amount), default=None)


COUNTS = [count for count in DayCount if count.startswith("ACT")]


@dataclass(frozen=True)
class Life:
    terms: LoanTerms
    payments: tuple[tuple[date, int], ...]
    as_of: date


@st.composite
def terms_of(draw: st.DrawFn, /, **fixed: object) -> LoanTerms:
    program = Program(
        interest_method=InterestMethod.SIMPLE_DAILY,
        day_count=draw(st.sampled_from(COUNTS)),
        frequency=draw(st.sampled_from([Frequency.MONTHLY, Frequency.MONTHLY, Frequency.BIWEEKLY, Frequency.QUARTERLY])),
        rounding=draw(st.sampled_from(Rounding)),
        allocation_scope=draw(st.sampled_from(AllocationScope)),
    )
    start = date(2019, 6, 1) + timedelta(days=draw(st.integers(0, 2000)))
    terms = LoanTerms(
        program=replace(program, **fixed),  # type: ignore[arg-type]
        principal=draw(st.integers(1, 500) | st.integers(10_000, 3_000_000)),
        annual_rate=Fraction(draw(st.integers(0, 3600)), 10_000),
        periods=draw(st.integers(1, 14)),
        contract_date=start,
        first_due_date=start + timedelta(days=draw(st.integers(1, 60))),
    )
    try:
        contract(terms)
    except InvalidTerms:
        assume(False)
    return terms


@st.composite
def lives(draw: st.DrawFn, /, **fixed: object) -> Life:
    """Payments early, late, partial, extra, on the same day, after everything."""
    terms = draw(terms_of(**fixed))
    plan = contract(terms).plan
    term = (plan.due_dates[-1] - terms.contract_date).days
    days = st.integers(0, term + 60).map(lambda number: terms.contract_date + timedelta(days=number))
    near = st.tuples(st.sampled_from(plan.due_dates), st.integers(-5, 12)).map(
        lambda pair: pair[0] + timedelta(days=pair[1])
    )
    level = max(1, plan.level_payment)
    amounts = (
        st.just(level) | st.integers(1, 2 * level) | st.integers(1, max(1, level // 8)) | st.integers(1, 2 * terms.principal)
    )
    drawn = draw(st.lists(st.tuples(days | near | st.sampled_from(plan.due_dates), amounts), max_size=14))
    payments = sorted((max(day, terms.contract_date), amount) for day, amount in drawn)
    return Life(terms, tuple(payments), terms.contract_date + timedelta(days=draw(st.integers(0, term + 90))))


def relive(life: Life) -> tuple[Model, dict[str, tuple[int, int, int]], date | None]:
    """The model at the close of the life's day, the split of each payment, and when the loan was paid off."""
    terms, model, splits = life.terms, Model(life.terms, life.terms.principal), {}
    dues, day, paid_off = contract(terms).plan.due_dates, terms.contract_date, None
    while day <= life.as_of:
        if day in dues and paid_off is None:
            model.fall_due(day)
        for number, (when, amount) in enumerate(life.payments, 1):
            if when == day:
                splits[f"p{number}"] = model.pay(amount, day) if paid_off is None else (0, 0, amount)
                if not model.principal and not model.owed:
                    paid_off = paid_off or day
        if day < life.as_of:
            model.pass_night(day)
        day += A_DAY
    return model, splits, paid_off
