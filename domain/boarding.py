"""A row of a loan tape -> the terms of a loan and its Boarded event. Pure: no file, no database.

A tape is what a prior servicer hands over: one row a loan, text in named columns. The mapping says which column holds
what; whatever of a row is not understood rejects that row, with the column and the reason, and never a row beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from domain.amortization import amortize
from domain.calendars import FIRST_YEAR, LAST_YEAR, add_months
from domain.errors import FieldError, InvalidInput, InvalidTerms
from domain.events import Boarded
from domain.loan import LoanStatus
from domain.money import format_amount, parse_amount, parse_rate
from domain.opening import check_boarding
from domain.origination import Booked, check_loan_number, check_terms, disclose
from domain.plan import contract
from domain.program import Program
from domain.program_form import program_from_dict
from domain.rounding import round_ratio
from domain.terms import LoanTerms

REQUIRED_COLUMNS = ("loan_number", "principal_amount", "term_periods", "annual_rate", "issue_month", "status", "balance")
OPTIONAL_COLUMNS = ("level_payment", "principal_paid", "unpaid_late_fees", "unpaid_interest")
BOARDABLE = (LoanStatus.ACTIVE, LoanStatus.PAID_OFF, LoanStatus.CHARGED_OFF)
PAYMENT_TOLERANCE = 1
"""Minor units by which a tape's level payment may differ from the annuity before it is reported."""

_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_MONTH_NAME = re.compile(r"([A-Za-z]{3})-(\d{4}|\d{2})", re.ASCII)
_ISO_MONTH = re.compile(r"(\d{4})-(\d{2})(-\d{2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class StatusRule:
    """What a status text of the tape means. `days_past_due`: the fewest days past due it stands for (0: current)."""

    status: LoanStatus
    days_past_due: int = 0


@dataclass(frozen=True, slots=True)
class TapeMapping:
    """How to read a tape. `columns`: our name -> the tape's column; `issue_day`: day of the issue month on which the
    contracts are taken to be dated; `as_of`: the reporting date of the balances; `program_name`/`program`: what the
    loans are serviced by."""

    columns: Mapping[str, str]
    statuses: Mapping[str, StatusRule]
    issue_day: int
    as_of: date | None
    program_name: str
    program: Program


@dataclass(frozen=True, slots=True)
class Remark:
    """What an auditor should see of a row that lands: `code` is odd_level_payment or paid_off_by_balance."""

    code: str
    column: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class BoardedLoan:
    """A loan as it lands. Amounts in minor units.

    `booked` is the contract's schedule with the tape's own level payment.
    """

    loan_number: str
    terms: LoanTerms
    body: Boarded
    booked: Booked
    remarks: tuple[Remark, ...] = ()


class RejectedRow(Exception):
    """A row that is not boarded. `errors` hold the tape's column (as pointer) and the reason."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{error.pointer}: {error.message}" for error in errors))
        self.errors = tuple(errors)

    @classmethod
    def at(cls, column: str, reason: str) -> RejectedRow:
        """A row rejected for one column."""
        return cls([FieldError(column, reason)])


# --- the mapping ---


def mapping_from_dict(data: Mapping[str, Any]) -> TapeMapping:
    """Read a mapping from its YAML form. Raises InvalidInput with a pointer for whatever is wrong in it."""
    errors: list[FieldError] = []
    known = {"columns", "statuses", "issue_day", "as_of", "program"}
    errors += [FieldError(f"/{name}", "unknown field", "unknown_field") for name in data if name not in known]
    columns = _columns(data.get("columns"), errors)
    statuses = _statuses(data.get("statuses"), errors)
    issue_day = data.get("issue_day", 1)
    if isinstance(issue_day, bool) or not isinstance(issue_day, int) or not 1 <= issue_day <= 28:
        errors.append(FieldError("/issue_day", "must be a whole number from 1 to 28"))
    as_of = data.get("as_of")
    if as_of is not None and not isinstance(as_of, date):
        errors.append(FieldError("/as_of", "must be a date such as 2018-06-30"))
    program = data.get("program")
    name, terms = "", Program()
    if not isinstance(program, Mapping) or not isinstance(program.get("name"), str) or not program["name"].strip():
        errors.append(FieldError("/program", "must have a name, and may have terms"))
    else:
        name = program["name"].strip()
        try:
            terms = program_from_dict(dict(program.get("terms") or {}))
        except InvalidTerms as error:
            errors += [FieldError(f"/program/terms{e.pointer}", e.message, e.code) for e in error.errors]
    if errors:
        fields = ", ".join(error.pointer for error in errors)
        raise InvalidInput(f"The mapping is not acceptable: {fields}.", errors=errors)
    return TapeMapping(columns, statuses, issue_day, as_of, name, terms)


def _columns(value: Any, errors: list[FieldError]) -> dict[str, str]:
    allowed = REQUIRED_COLUMNS + OPTIONAL_COLUMNS
    if not isinstance(value, Mapping):
        errors.append(FieldError("/columns", f"must name the tape's columns of {', '.join(REQUIRED_COLUMNS)}"))
        return {}
    unknown = f"must be one of {', '.join(allowed)}"
    errors += [FieldError(f"/columns/{name}", unknown, "unknown_field") for name in value if name not in allowed]
    missing = [name for name in REQUIRED_COLUMNS if name not in value]
    errors += [FieldError(f"/columns/{name}", "is required", "missing") for name in missing]
    return {str(name): str(column) for name, column in value.items()}


def _statuses(value: Any, errors: list[FieldError]) -> dict[str, StatusRule]:
    rules: dict[str, StatusRule] = {}
    for text, rule in (value if isinstance(value, Mapping) else {}).items():
        status = rule.get("status") if isinstance(rule, Mapping) else None
        days = rule.get("days_past_due", 0) if isinstance(rule, Mapping) else 0
        if status not in BOARDABLE or isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= 10_000:
            message = f"must have a status ({', '.join(BOARDABLE)}) and days_past_due (0 or more)"
            errors.append(FieldError(f"/statuses/{text}", message))
        else:
            rules[str(text)] = StatusRule(LoanStatus(status), days)
    if not rules:
        errors.append(FieldError("/statuses", "must say what each status of the tape means"))
    return rules


# --- a row ---


class _Row:
    """Reads the cells of one row and gathers what is wrong with them."""

    def __init__(self, mapping: TapeMapping, cells: Mapping[str, str | None]) -> None:
        self.columns, self.cells = mapping.columns, cells
        self.errors: list[FieldError] = []

    def text(self, name: str) -> str:
        return (self.cells.get(self.columns.get(name, "")) or "").strip()

    def wrong(self, name: str, reason: str) -> None:
        self.errors.append(FieldError(self.columns.get(name, name), reason))

    def amount(self, name: str, *, lowest: int = 0, default: int | None = None) -> int:
        text = self.text(name)
        if not text and default is not None:
            return default
        try:
            value = parse_amount(text)
        except InvalidInput as error:
            self.wrong(name, error.errors[0].message)
            return lowest
        if value < lowest:
            self.wrong(name, "must not be negative" if lowest == 0 else f"must be at least {format_amount(lowest)}")
        return max(value, lowest)

    def rate(self, name: str) -> Fraction:
        try:
            return parse_rate(self.text(name)) / 100
        except InvalidInput:
            self.wrong(name, 'must be percent a year such as "5.32"')
            return Fraction(0)

    def count(self, name: str) -> int:
        text = self.text(name)
        if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or int(text) == 0:
            self.wrong(name, "must be a whole number of instalments")
            return 1
        return int(text)

    def month(self, name: str, day: int) -> date:
        text = self.text(name)
        named, iso = _MONTH_NAME.fullmatch(text), _ISO_MONTH.fullmatch(text)
        year = month = 0
        if named:
            month = _MONTHS.get(named[1].lower(), 0)
            year = int(named[2]) if len(named[2]) == 4 else 2000 + int(named[2])
        elif iso:
            year, month = int(iso[1]), int(iso[2])
        if FIRST_YEAR <= year <= LAST_YEAR and 1 <= month <= 12:
            return date(year, month, day)
        self.wrong(name, 'must be a month such as "Jan-18" or "2018-01"')
        return date(2000, 1, day)


def board_row(mapping: TapeMapping, program: Program, cells: Mapping[str, str | None], as_of: date) -> BoardedLoan:
    """A row of the tape as a loan taken over on `as_of`.

    The contract is dated the mapping's issue day of the issue month and first due one month later. A loan that is N
    days past due has as its oldest unpaid due date the latest one at least N days before `as_of`; a current one the
    first after `as_of`. The contract keeps the tape's own level payment. Where the tape has no column for it, unpaid
    interest is what the balance has earned since the last paid due date. A loan with nothing left to pay is paid off
    whatever its status says. A charged-off loan's balance is what was lent less the principal paid, which the borrower
    still owes (tapes show 0 there).

    Raises RejectedRow with every column at fault.
    """
    row = _Row(mapping, cells)
    number = _loan_number(row)
    principal, balance = row.amount("principal_amount", lowest=1), row.amount("balance")
    rate, periods = row.rate("annual_rate"), row.count("term_periods")
    contract_date = row.month("issue_month", mapping.issue_day)
    stated = row.amount("level_payment", lowest=1, default=0)
    rule = mapping.statuses.get(row.text("status"))
    if rule is None:
        row.wrong("status", f"unknown status; the mapping knows {', '.join(mapping.statuses)}")
    if row.errors or rule is None:
        raise RejectedRow(row.errors)
    terms = LoanTerms(program, principal, rate, periods, contract_date, add_months(contract_date, 1))
    _check(row, terms, as_of)
    status = LoanStatus.PAID_OFF if rule.status is LoanStatus.ACTIVE and balance == 0 else rule.status
    active = status is LoanStatus.ACTIVE
    owed = _owed(row, status, principal, balance)
    oldest = _oldest_unpaid(row, terms, rule, as_of) if active else None
    fees = row.amount("unpaid_late_fees", default=0)
    unpaid_interest = row.amount("unpaid_interest") if row.text("unpaid_interest") else None
    if row.errors:
        raise RejectedRow(row.errors)
    agreed = contract(terms)
    level = stated or agreed.plan.level_payment
    if unpaid_interest is None:
        unpaid_interest = 0 if oldest is None else earned_and_unpaid(terms, owed, level, oldest, as_of)
    body = Boarded(status, owed, unpaid_interest if active else 0, fees if active else 0, oldest, level)
    _check_boarding(row, terms, body, as_of)
    rows = agreed.rows
    if level != agreed.plan.level_payment:
        rows = amortize(principal, level, agreed.plan.factors, agreed.plan.due_dates, rounding=program.rounding)
    remarks = _remarks(row, rule, status, level, agreed.plan.level_payment)
    return BoardedLoan(number, terms, body, disclose(terms, rows, level), remarks)


def _loan_number(row: _Row) -> str:
    try:
        return check_loan_number(row.text("loan_number"), "")
    except InvalidInput as error:
        row.wrong("loan_number", error.errors[0].message)
        return ""


def _remarks(row: _Row, rule: StatusRule, status: LoanStatus, level: int, annuity: int) -> tuple[Remark, ...]:
    remarks = []
    if abs(level - annuity) > PAYMENT_TOLERANCE:
        reason = f"is not the level payment of amount, rate and term, {format_amount(annuity)}; kept as the contract's"
        remarks.append(Remark("odd_level_payment", row.columns["level_payment"], format_amount(level), reason))
    if status is not rule.status:
        reason = f"has a balance of 0.00; boarded as {status}"
        remarks.append(Remark("paid_off_by_balance", row.columns["status"], row.text("status"), reason))
    return tuple(remarks)


_COLUMN_OF = {
    "/principal_amount": "principal_amount",
    "/interest_rate": "annual_rate",
    "/term_periods": "term_periods",
    "/origination_date": "issue_month",
    "/first_payment_date": "issue_month",
}


def _check(row: _Row, terms: LoanTerms, as_of: date) -> None:
    try:
        check_terms(terms)
    except InvalidTerms as error:
        for wrong in error.errors:
            row.wrong(_COLUMN_OF[wrong.pointer], wrong.message)
        raise RejectedRow(row.errors) from None
    if terms.contract_date > as_of:
        row.wrong("issue_month", f"is after the reporting date {as_of}")
        raise RejectedRow(row.errors)


def _check_boarding(row: _Row, terms: LoanTerms, body: Boarded, as_of: date) -> None:
    column_of = {"/level_payment": "level_payment", "/interest": "unpaid_interest", "/late_fees": "unpaid_late_fees"}
    try:
        check_boarding(terms, body, as_of)
    except InvalidInput as error:
        for wrong in error.errors:
            row.wrong(column_of.get(wrong.pointer, "balance"), wrong.message)
        raise RejectedRow(row.errors) from None


def _owed(row: _Row, status: LoanStatus, principal: int, balance: int) -> int:
    if balance > principal:
        row.wrong("balance", f"is more than what was lent, {format_amount(principal)}")
    if status is LoanStatus.PAID_OFF and balance > 0:
        row.wrong("balance", f"is not 0, which does not go with the status {row.text('status')!r}")
    if status is LoanStatus.CHARGED_OFF and balance == 0 and "principal_paid" in row.columns:
        paid = row.amount("principal_paid")
        if paid > principal:
            row.wrong("principal_paid", f"is more than what was lent, {format_amount(principal)}")
        return principal - paid
    return balance


def _oldest_unpaid(row: _Row, terms: LoanTerms, rule: StatusRule, as_of: date) -> date | None:
    dues = contract(terms).plan.due_dates
    if rule.days_past_due == 0:
        return next((due for due in dues if due > as_of), dues[-1])
    overdue = [due for due in dues if (as_of - due).days >= rule.days_past_due]
    if not overdue:
        first = f"its first instalment, due {dues[0]}, is not {rule.days_past_due} days old on {as_of}"
        row.wrong("status", f"{row.text('status')!r} cannot be: {first}")
        return None
    return overdue[-1]


def earned_and_unpaid(terms: LoanTerms, principal: int, level_payment: int, oldest_unpaid: date, as_of: date) -> int:
    """Interest in minor units that a balance has earned by `as_of` since the due date before `oldest_unpaid`.

    Whole periods bear their interest on what the level payment would have left of the balance, the period running on
    `as_of` the part of its actual days that have passed.
    """
    agreed, rounding = contract(terms), terms.program.rounding
    dues = agreed.plan.due_dates
    index = dues.index(oldest_unpaid)
    rows = amortize(principal, level_payment, agreed.plan.factors[index:], dues[index:], rounding=rounding)
    earned, start = 0, dues[index - 1] if index else terms.contract_date
    for row in rows:
        if start >= as_of:
            break
        days, elapsed = (row.due_date - start).days, (min(row.due_date, as_of) - start).days
        earned += round_ratio(row.interest * elapsed, days, rounding)
        start = row.due_date
    return earned
