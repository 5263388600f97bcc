"""Simple interest by the day, with stated payments: {inputs, published: {rows, totals, by_year}}.

What is paid comes from the schedule of stated payments; how it splits is then asked of the loan engine, a payment on
each due date, wherever an engine loan can have such terms. Both must give the published figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction
from typing import Any, Final

from cli.cases.compare import Checked, amount, amount_differences, check_figures, exactly, first_difference, periods
from domain.amortization import Row, level_payment_for_factors
from domain.calendars import due_dates
from domain.daily_interest import Due, pay_as_stated
from domain.daycount import year_fraction
from domain.errors import InvalidTerms, Refusal
from domain.events import Disbursed, Event, PaymentReceived
from domain.loan import LoanState, LoanStatus
from domain.plan import contract
from domain.program import DayCount, Frequency, InterestMethod, Program
from domain.program_form import DAY_BY_DAY
from domain.replay import replay
from domain.rounding import Rounding
from domain.terms import LoanTerms

_ROW: Final = ("begin", "payment", "interest", "principal", "end")


def run(document: dict[str, Any], case: dict[str, Any]) -> str | None:
    """The published rows, totals and sums by calendar year of one loan."""
    return first_difference(_checked(case["inputs"], case["published"]))


def _checked(inputs: dict[str, Any], published: dict[str, Any]) -> Iterator[Checked]:
    check_figures("published", published, {"rows", "totals", "by_year"})
    terms = _terms(inputs)
    rows = schedule(inputs)
    yield from _through_the_engine(terms, rows, settles=inputs.get("final_settles", True))
    figures = {row.number: (row.balance + row.principal, *row[2:]) for row in rows}
    for number, stated in published.get("rows", {}).items():
        if int(number) not in figures:
            yield f"row {number}", None, stated
            continue
        row = dict(zip(_ROW, figures[int(number)], strict=True))
        yield from _differences(f"row {number}", row, stated)
    if "totals" in published:
        yield from _differences("totals", _sums(rows), published["totals"])
    for year, stated in published.get("by_year", {}).items():
        yield from _differences(year, _sums([row for row in rows if row.due_date.year == int(year)]), stated)


def schedule(inputs: dict[str, Any]) -> list[Row]:
    """The rows of the stated loan: a stated or level payment, or a principal plus its interest; nothing in the months
    skipped. The last one takes what is left, unless it is stated not to.

    Raises InvalidTerms where the inputs make no schedule.
    """
    terms, skipped = _terms(inputs), frozenset(map(int, inputs.get("skip_months", ())))
    plus_interest = "principal_payment" in inputs
    dates = due_dates(terms.program.frequency, terms.first_due_date, terms.periods)
    starts = [terms.contract_date, *dates[:-1]]
    if not terms.contract_date < dates[0]:
        raise InvalidTerms("first_payment must be after loan_date")
    day_count = terms.program.day_count
    factors = [terms.annual_rate * year_fraction(day_count, *period) for period in zip(starts, dates, strict=True)]
    paid = [day.month not in skipped for day in dates]
    if plus_interest or "payment" in inputs:
        payment = amount(inputs["principal_payment" if plus_interest else "payment"])
    else:
        payment = _level_payment(terms, factors, paid)
    dues = [
        Due(number, day, (factor.numerator, factor.denominator), payment if pays else 0, plus_interest and pays)
        for number, (day, factor, pays) in enumerate(zip(dates, factors, paid, strict=True), 1)
    ]
    settles = terms.periods if inputs.get("final_settles", True) else None
    return pay_as_stated(terms.principal, dues, terms.program.rounding, settles=settles)


def _terms(inputs: dict[str, Any]) -> LoanTerms:
    program = Program(
        interest_method=InterestMethod.SIMPLE_DAILY,
        day_count=DayCount(inputs.get("day_count", DayCount.ACT_365F)),
        frequency=Frequency(inputs.get("frequency", Frequency.MONTHLY)),
        rounding=Rounding.HALF_UP,
    )
    return LoanTerms(
        program=program,
        principal=amount(inputs["principal"]),
        annual_rate=exactly(inputs["annual_rate_pct"]) / 100,
        periods=periods(inputs, "n"),
        contract_date=date.fromisoformat(inputs["loan_date"]),
        first_due_date=date.fromisoformat(inputs["first_payment"]),
    )


def _level_payment(terms: LoanTerms, factors: Sequence[Fraction], paid: Sequence[bool]) -> int:
    """The annuity over the payments made. Interest is never capitalised, so a skipped period belongs to the next one."""
    merged, carried = [], Fraction(0)
    for factor, pays in zip(factors, paid, strict=True):
        carried += factor
        if pays:
            merged.append(carried)
            carried = Fraction(0)
    if not merged:
        raise InvalidTerms("skip_months leave no payment")
    return level_payment_for_factors(terms.principal, merged, terms.program.rounding)


def _through_the_engine(terms: LoanTerms, rows: list[Row], *, settles: bool) -> Iterator[Checked]:
    """Every row's split, and that the last payment pays the loan off, as the engine has it."""
    if terms.program.day_count not in DAY_BY_DAY:
        return
    try:
        contract(terms)
    except Refusal:
        return
    events = [Event(1, terms.contract_date, Disbursed(terms.principal))]
    events += [
        Event(row.number + 1, row.due_date, PaymentReceived(row.payment, str(row.number))) for row in rows if row.payment
    ]
    result = replay(terms, events, rows[-1].due_date)
    balance = terms.principal
    for row in rows:
        interest = principal = 0
        if row.payment:
            allocation = result.allocations[str(row.number)]
            interest, principal = allocation.interest, allocation.principal + allocation.unapplied
        balance -= principal
        yield f"row {row.number} of the engine", (interest, principal, balance), row[3:]
    if settles:
        yield "the engine's last balance", _left(result.state), (LoanStatus.PAID_OFF, 0, 0)


def _left(state: LoanState) -> tuple[LoanStatus, int, int]:
    return state.status, state.principal_balance + state.accrued_interest, state.unapplied


def _sums(rows: list[Row]) -> dict[str, int]:
    return {
        "payment": sum(row.payment for row in rows),
        "interest": sum(row.interest for row in rows),
        "principal": sum(row.principal for row in rows),
    }


def _differences(name: str, figures: dict[str, int], stated: dict[str, Any]) -> Iterator[Checked]:
    check_figures(name, stated, figures)
    for figure, computed, published in amount_differences(figures, stated):
        yield f"{name}: {figure}", computed, published
