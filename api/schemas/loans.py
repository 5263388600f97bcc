"""Loans at the edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy.engine import RowMapping

from api.schemas.base import Amount, Bucket, Count, Date, Money, RateString, Schema
from api.schemas.borrowers import Borrower
from api.schemas.payments import Payment
from api.schemas.programs import Program
from domain.flags import LoanFlag
from domain.instalment_payments import InstalmentPayment
from domain.loan import SETTLED, InstalmentStatus, LoanState, LoanStatus, PayoffQuote
from domain.money import parse_amount
from domain.origination import months_of_periods, why_no_apr
from domain.program import Frequency
from domain.rounding import round_minor
from services.loans import Position

LEVEL_PAYMENT = "the contract's level payment; default: the annuity. The last payment settles the loan"
BALLOON = "what the last payment is above the level one"
INTEREST_ONLY = "instalments at the start that pay interest only"
DEFERRED = (
    "periods before the one that ends on first_payment_date, in which nothing is due; the first payment takes their interest"
)
DUE_DAYS = (
    "days of the month (31: the last): two of a semimonthly loan; one where first_payment_date is cut short by its month"
)
PREPAID = "finance charge paid at origination: not part of the amount financed"
FLAGS = "those that are set now, of which a suspicion of fraud is shown to staff only; `GET /loans/{id}/flags` says why"
LOAN_NUMBER = "your number of the loan, unique; default: the next of LN-0001, LN-0002, ..."


class LoanRequest(Schema):
    """A loan to book. Exactly one of `term_months` and `term_periods` says how long it is."""

    borrower_id: UUID
    program_id: UUID
    principal_amount: Amount = Field(gt=0, examples=["10000.00"])
    interest_rate: RateString = Field(description="a year, of one", examples=["0.085"])
    term_months: Count | None = Field(None, ge=1, le=1200, examples=[36])
    term_periods: Count | None = Field(None, ge=1, le=5200, description="number of instalments")
    origination_date: Date = Field(description="the date of the contract, from which interest runs")
    first_payment_date: Date
    loan_number: str | None = Field(None, description=LOAN_NUMBER, examples=["LN-0001"])
    level_payment: Amount | None = Field(None, gt=0, description=LEVEL_PAYMENT, examples=["320.00"])
    balloon: Amount | None = Field(None, ge=0, description=BALLOON, examples=["2500.00"])
    interest_only_periods: Count | None = Field(None, ge=0, description=INTEREST_ONLY, examples=[6])
    deferred_periods: Count | None = Field(None, ge=0, description=DEFERRED, examples=[3])
    due_days: list[Count] | None = Field(None, max_length=2, description=DUE_DAYS, examples=[[15, 31]])
    prepaid_finance_charge: Amount | None = Field(None, ge=0, description=PREPAID, examples=["150.00"])


class DisburseRequest(Schema):
    date: Date | None = Field(None, description="when the money went out; default: the tenant's business date")


class Loan(Schema):
    """A loan as it stood when its state was last stored (`processed_through`); `GET /loans/{id}` computes it anew."""

    id: UUID
    loan_number: str
    status: LoanStatus
    borrower_id: UUID
    program_id: UUID
    program_version: int
    principal_amount: Money
    principal_balance: Money
    interest_rate: RateString
    term_periods: int
    term_months: int | None
    remaining_term: int = Field(description="instalments that are not paid")
    payment_amount: Money = Field(description="the level payment")
    next_payment_date: Date | None
    next_payment_amount: Money = Field(description="what brings the loan current through the next payment date")
    total_paid: Money
    origination_date: Date
    first_payment_date: Date
    maturity_date: Date
    accrued_interest: Money
    fees_balance: Money
    unapplied_balance: Money
    past_due_amount: Money
    oldest_unpaid_due_date: Date | None
    days_past_due: int
    delinquency_bucket: Bucket
    last_payment_date: Date | None
    paid_off_on: Date | None
    processed_through: Date | None
    source: str = Field(description="api, or tape for a loan that was boarded")
    created_at: datetime
    updated_at: datetime


class InstalmentPaid(Schema):
    """What one payment paid of an instalment."""

    payment_id: UUID | None = Field(description="null for unapplied funds that were applied")
    effective_date: Date
    principal: Money
    interest: Money = Field(description="negative where a payoff gave unearned interest back")


class ScheduleRow(Schema):
    """An instalment. `balance` is the principal left after it; what was paid of it is null in a booked schedule."""

    number: int
    due_date: Date
    payment: Money
    principal: Money
    interest: Money
    balance: Money
    principal_paid: Money | None = None
    interest_paid: Money | None = None
    interest_waived: Money | None = None
    fees: Money | None = Field(None, description="the program's instalment fee")
    fees_paid: Money | None = None
    status: InstalmentStatus | None = None
    paid_on: Date | None = None
    payments: list[InstalmentPaid] | None = Field(None, description="what was paid of it, and when")


class Schedule(Schema):
    """`booked`: as agreed, never changed. `current`: as it stands on `as_of`, which curtailments and the like move."""

    loan_id: UUID
    kind: Literal["booked", "current"]
    as_of: Date | None
    items: list[ScheduleRow]


class LoanDetail(Loan):
    """A loan at the close of the business date (`as_of`), with its disclosures. `expand` fills the last four."""

    as_of: Date
    flags: list[LoanFlag] = Field(description=FLAGS)
    per_diem: Money = Field(description="what a day adds to the payoff, rounded for display")
    payoff: Money | None = Field(description="what pays the loan off on `as_of`; null unless it is active")
    balloon: Money = Field(description=BALLOON)
    interest_only_periods: int = Field(description=INTEREST_ONLY)
    deferred_periods: int = Field(description=DEFERRED)
    due_days: list[int] = Field(description=DUE_DAYS)
    prepaid_finance_charge: Money = Field(description=PREPAID)
    apr: str | None = Field(description="percent, as booked; null where no rate solves its equation", examples=["4.4966"])
    apr_reason: str | None = Field(description="why `apr` is null; null where it is not", examples=[None])
    amount_financed: Money = Field(description="as booked")
    finance_charge: Money = Field(description="as booked")
    total_of_payments: Money = Field(description="as booked")
    borrower: Borrower | None = None
    program: Program | None = None
    schedule: Schedule | None = None
    payments: list[Payment] | None = Field(None, description="the newest 50")


class Payoff(Schema):
    """What pays the loan off on `date` when nothing is paid until then."""

    loan_id: UUID
    date: Date
    principal: Money
    interest: Money
    fees: Money
    total: Money
    per_diem: Money = Field(description="what a further day adds, rounded for display")


_SAME_NAME = (
    "id",
    "loan_number",
    "status",
    "borrower_id",
    "program_id",
    "program_version",
    "principal_amount",
    "principal_balance",
    "term_periods",
    "remaining_term",
    "total_paid",
    "origination_date",
    "maturity_date",
    "accrued_interest",
    "fees_balance",
    "unapplied_balance",
    "past_due_amount",
    "oldest_unpaid_due_date",
    "days_past_due",
    "delinquency_bucket",
    "last_payment_date",
    "paid_off_on",
    "processed_through",
    "source",
    "created_at",
    "updated_at",
)


def _stored(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in _SAME_NAME} | {
        "interest_rate": row["annual_rate"],
        "term_months": months_of_periods(Frequency(row["frequency"]), row["term_periods"]),
        "payment_amount": row["level_payment"],
        "next_payment_date": row["next_due_date"],
        "next_payment_amount": row["next_due_amount"],
        "first_payment_date": row["first_due_date"],
    }


def _computed(state: LoanState, term_periods: int) -> dict[str, Any]:
    unpaid = sum(row.status not in SETTLED for row in state.instalments)
    remaining = {LoanStatus.BOARDING: term_periods, LoanStatus.ACTIVE: unpaid}
    return {
        "as_of": state.as_of,
        "status": state.status,
        "principal_balance": state.principal_balance,
        "remaining_term": remaining.get(state.status, 0),
        "total_paid": state.total_paid,
        "accrued_interest": state.accrued_interest,
        "fees_balance": state.fees_balance,
        "unapplied_balance": state.unapplied,
        "past_due_amount": state.past_due_amount,
        "oldest_unpaid_due_date": state.oldest_unpaid_due_date,
        "days_past_due": state.days_past_due,
        "delinquency_bucket": state.delinquency_bucket,
        "last_payment_date": state.last_payment_date,
        "paid_off_on": state.paid_off_on,
        "next_payment_date": state.next_due_date,
        "next_payment_amount": state.next_due_amount,
        "per_diem": round_minor(state.per_diem),
    }


def loan_of(row: RowMapping) -> Loan:
    """A loan from a row of infra.db.queries.loans."""
    return Loan.model_validate(_stored(row))


def loan_detail_of(
    row: RowMapping, position: Position, booked: RowMapping, flags: Sequence[LoanFlag], **expanded: Any
) -> LoanDetail:
    """A loan from its row, where it stands, the schedule it was booked with, and those of its flags that are shown."""
    values = _stored(row) | _computed(position.state, row["term_periods"]) | {"flags": flags} | expanded
    values["payoff"] = None if position.payoff is None else position.payoff.total
    for name in ("balloon", "interest_only_periods", "deferred_periods", "due_days", "prepaid_finance_charge"):
        values[name] = row[name]
    for name in ("apr", "finance_charge", "total_of_payments"):
        values[name] = booked[name]
    values["apr_reason"] = None if booked["apr"] else why_no_apr(position.terms, _agreed(booked["rows"]))
    values["amount_financed"] = booked["total_of_payments"] - booked["finance_charge"]
    return LoanDetail.model_validate(values)


def _agreed(rows: Sequence[Mapping[str, str]]) -> list[tuple[date, int]]:
    """Due date and payment (minor units) of each booked instalment."""
    return [(date.fromisoformat(row["due_date"]), parse_amount(row["payment"])) for row in rows]


def current_schedule_of(
    loan_id: UUID, state: LoanState, paid: Mapping[int, Sequence[InstalmentPayment]] | None = None
) -> Schedule:
    """The schedule as it stands; with `paid`, what each payment paid of each instalment."""
    balance = sum(row.principal for row in state.instalments)
    items = []
    for row in state.instalments:
        balance -= row.principal
        items.append(
            ScheduleRow(
                number=row.number,
                due_date=row.due_date,
                payment=row.payment,
                principal=row.principal,
                interest=row.interest,
                balance=balance,
                principal_paid=row.principal_paid,
                interest_paid=row.interest_paid,
                interest_waived=row.interest_waived,
                fees=row.fees,
                fees_paid=row.fees_paid,
                status=row.status,
                paid_on=row.paid_on,
                payments=None if paid is None else [_paid(part) for part in paid.get(row.number, ())],
            )
        )
    return Schedule(loan_id=loan_id, kind="current", as_of=state.as_of, items=items)


def _paid(part: InstalmentPayment) -> InstalmentPaid:
    return InstalmentPaid(
        payment_id=None if part.payment_id is None else UUID(part.payment_id),
        effective_date=part.effective_date,
        principal=part.principal,
        interest=part.interest,
    )


def booked_schedule_of(loan_id: UUID, rows: Sequence[dict[str, Any]]) -> Schedule:
    """The schedule a loan was booked with, from its stored rows."""
    items = [
        ScheduleRow(
            number=row["number"],
            due_date=date.fromisoformat(row["due_date"]),
            **{name: parse_amount(row[name]) for name in ("payment", "principal", "interest", "balance")},
        )
        for row in rows
    ]
    return Schedule(loan_id=loan_id, kind="booked", as_of=None, items=items)


def payoff_of(loan_id: UUID, on: date, quote: PayoffQuote) -> Payoff:
    """A payoff quote as the API answers it."""
    return Payoff(
        loan_id=loan_id,
        date=on,
        principal=quote.principal,
        interest=quote.interest,
        fees=quote.fees,
        total=quote.total,
        per_diem=round_minor(quote.per_diem),
    )
