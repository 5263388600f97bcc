"""What an enrolment's row authorizes, as the domain decides on it, and the loan as drafts are decided on it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Final
from uuid import UUID

from domain.autopay import EnrolmentKind, EnrolmentStatus
from domain.cadence import Cadence, DateAnchor, DraftFrequency, Scheduling
from domain.draft_amounts import AmountTerms, AmountType, ExtraTowards, PayoffRule
from domain.drafting import Ahead, Authorization, Prospect, Source, expected, following_dues
from domain.errors import InvalidInput
from domain.money import format_amount
from infra.calendar import bank_holidays
from infra.db.models.processes import autopay_enrolments
from infra.db.pipeline import Row
from infra.db.queries.instruments import ach_refusal_of
from infra.db.repositories import autopay as repository
from infra.db.repositories import draft_basis, instruments
from infra.db.repositories.draft_basis import DraftBasis
from infra.db.uow import UnitOfWork
from services.replaying import LockedLoan

ACCOUNTS: Final = ("payment_instrument_id", "fallback_instrument_id", "second_fallback_instrument_id")
"""The columns of an enrolment that name the accounts it is drafted from, in the order in which they are tried."""


def cadence_of(row: Row) -> Cadence:
    """When an enrolment drafts."""
    return Cadence(
        frequency=DraftFrequency(row["frequency"]),
        start=row["start_date"],
        end=row["end_date"],
        periods=row["number_of_periods"],
        dates=tuple(row["dates"]),
        last_day_of_month=row["last_day_of_month"],
        anchor=DateAnchor(row["date_anchor"]),
        scheduling=Scheduling(row["scheduling"]),
        days_after=row["process_days_after"],
    )


def amounts_of(row: Row) -> AmountTerms:
    """How much an enrolment drafts."""
    return AmountTerms(
        kind=AmountType(row["amount_type"]),
        amount=row["amount"],
        payoff_rule=PayoffRule(row["payoff_rule"]),
        when_nothing_due=row["process_zero_or_negative"],
    )


def accounts_of(row: Row) -> list[UUID]:
    """The accounts an enrolment is drafted from, in the order in which they are tried."""
    return [row[name] for name in ACCOUNTS if row[name] is not None]


async def basis_of(uow: UnitOfWork, loan_id: UUID, own: UUID | None = None) -> DraftBasis:
    """What the drafts of a loan are decided on besides its events. `own`: an enrolment whose accounts stay as they are until
    this transaction ends."""
    return draft_basis.read(await uow.fetch(*draft_basis.ask(loan_id, own)))


def authorization(row: Row, basis: DraftBasis) -> Authorization:
    """What an enrolment authorizes."""
    accounts = basis.accounts
    return Authorization(
        id=row["id"],
        cadence=cadence_of(row),
        amounts=amounts_of(row),
        sources=tuple(
            Source(account, ach_refusal_of(accounts[account]) if account in accounts else "it is gone")
            for account in accounts_of(row)
        ),
        next_process_date=row["next_process_date"],
        on_process_date=row["post_payment_update"],
        recurring=row["kind"] == EnrolmentKind.RECURRING,
        extra=None if row["extra_towards"] is None else ExtraTowards(row["extra_towards"]).extra_money,
    )


async def can_be_drafted(uow: UnitOfWork, row: Row) -> bool:
    """Whether one of the accounts of an open enrolment can be drafted."""
    found = authorization(row, await basis_of(uow, row["loan_id"]))
    return any(source.refusal is None for source in found.sources)


def prospect(loan: LockedLoan, basis: DraftBasis) -> Prospect:
    """A loan as it is known now."""
    return Prospect(loan.terms, tuple(loan.events), basis.promised, basis.flags)


def prospect_for(loan: LockedLoan, basis: DraftBasis, own: Authorization, process_date: date, as_of: date) -> Prospect:
    """A loan as it is when what goes out before the draft of `own` on `process_date` has: drafts of the loan that are
    prepared and not sent, and those which its other enrolments have yet to prepare."""
    to_prepare = [
        Ahead(authorization(row, basis), row["next_process_date"])
        for row in _active(basis)
        if row["id"] != own.id and row["next_process_date"] is not None
    ]
    return expected(prospect(loan, basis), prepared(basis) + to_prepare, own, process_date, as_of, bank_holidays())


def prepared(basis: DraftBasis) -> list[Ahead]:
    """The drafts of a loan that are prepared and not sent, of the enrolments that are active: others send none."""
    rows = {row["id"]: row for row in _active(basis)}
    return [
        Ahead(authorization(rows[draft["enrolment_id"]], basis), draft["process_date"], draft["amount"])
        for draft in basis.prepared
        if draft["enrolment_id"] in rows
    ]


def _active(basis: DraftBasis) -> list[Row]:
    return [row for row in basis.enrolments if row["status"] == EnrolmentStatus.ACTIVE]


async def first_period(
    uow: UnitOfWork, loan_id: UUID, cadence: Cadence, amounts: AmountTerms, not_before: date
) -> date | None:
    """The first process date from `not_before` on of which an enrolment of a loan, as it is stored, has a period."""
    dues = await repository.due_dates(uow, loan_id)
    found = following_dues(cadence, amounts, dues, not_before, bank_holidays())
    return None if found is None else found.process_date


async def check_account(
    uow: UnitOfWork, instrument_id: UUID, borrower_id: UUID, pointer: str = "/payment_instrument_id"
) -> None:
    """Refuse (InvalidInput at `pointer`) an instrument that is not the borrower's, or cannot be drafted over ACH. It stays
    as it is until this transaction ends."""
    row = await instruments.hold(uow, instrument_id)
    if row is None or row["borrower_id"] != borrower_id or row["removed_at"] is not None:
        raise InvalidInput.at(pointer, "must be a payment instrument of the loan's borrower", code="unknown_instrument")
    reason = ach_refusal_of(row)
    if reason is not None:
        raise InvalidInput.at(pointer, f"must be one that autopay can draft: {reason}", code="instrument_not_draftable")


async def check_accounts(uow: UnitOfWork, values: Row, borrower_id: UUID) -> None:
    """Refuse (InvalidInput, with the field) accounts that cannot be drafted, or are named twice."""
    accounts = accounts_of(values)
    for index, account in enumerate(accounts):
        pointer = f"/fallback_instrument_ids/{index - 1}" if index else "/payment_instrument_id"
        if account in accounts[:index]:
            raise InvalidInput.at(pointer, "must be another account than those before it")
    pointers = {account: f"/fallback_instrument_ids/{index - 1}" for index, account in enumerate(accounts)}
    pointers[accounts[0]] = "/payment_instrument_id"
    for account in sorted(accounts):  # each is held: in one order, so that two enrolments never wait for each other
        await check_account(uow, account, borrower_id, pointers[account])


async def change_row(uow: UnitOfWork, row: Row, what: str, values: dict[str, Any], reason: str | None = None) -> None:
    """Write new values to a locked enrolment, with the audit of what they were."""
    await repository.change_enrolment(uow, row["id"], **values)
    await uow.audit(
        f"autopay.{what}",
        "autopay_enrolment",
        row["id"],
        before=facts(row, values),
        after=facts({**row, **values}, values),
        reason=reason,
    )


_FACTS: Final = tuple(
    column.name
    for column in autopay_enrolments.c
    if column.name not in ("tenant_id", "id", "loan_id", "created_at", "updated_at")
)


def facts(row: Any, names: Iterable[str] | None = None) -> dict[str, Any]:
    """JSON values of an enrolment, for the audit trail: those named or, of a new one, all that are said."""
    said = [name for name in _FACTS if row[name] is not None and row[name] != []] if names is None else names
    return {name: None if row[name] is None else _json(name, row[name]) for name in said}


def _json(name: str, value: Any) -> Any:
    if name == "amount":
        return format_amount(value)
    if isinstance(value, list):
        return [str(item) for item in value]
    return value if isinstance(value, bool | int) else str(value)
