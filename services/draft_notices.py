"""Telling a borrower beforehand that a draft takes another amount than the one before it (domain/draft_notices.py).

What is stored of a page of enrolments shows of most of them that there is nothing to tell; the loans of the others are
replayed. The mail goes first and its row is written then; a crash between them sends it again, by its key the same
message. One that could not be sent is tried on the next business date, as long as ten days are left; as long, another one
follows where the amount is no longer the one that was told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from domain import draft_notices
from domain.autopay import EnrolmentStatus
from domain.draft_amounts import AmountTerms
from domain.draft_notices import StoredInstalment
from domain.drafting import Drafting
from domain.loan import LoanStatus
from domain.money import format_amount
from infra.calendar import bank_holidays
from infra.db.pipeline import Row
from infra.db.queries import instruments
from infra.db.queries.borrowers import addressee
from infra.db.repositories import draft_notices as repository
from infra.db.repositories.autopay import enrolment
from infra.db.repositories.loans import program_of
from infra.db.uow import UnitOfWork
from infra.notifier import Mail
from services import letters
from services.authorizations import amounts_of, cadence_of, first_period
from services.outlooks import outlook
from services.users import tenant_name

PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Notice:
    """What a borrower is told of a draft (`amount` in minor units), as the mail that does; `number`: among those of its
    date, from 1 on."""

    enrolment_id: UUID
    process_date: date
    number: int
    amount: int
    mail: Mail


class Looked(NamedTuple):
    """The `candidates` of a page of enrolments, in the order of ids, and the enrolment to go on `after`; None: there are no
    more."""

    candidates: list[UUID]
    after: UUID | None


async def may_be_due(uow: UnitOfWork) -> bool:
    """Whether an enrolment may have to be looked at today: False only where none drafts in so many days."""
    _, last = draft_notices.window(await uow.business_date())
    return await repository.any_drafts_by(uow, last)


async def look(uow: UnitOfWork, after: UUID | None, limit: int = PAGE) -> Looked:
    """A page of the enrolments that may have a draft of which a notice is sent today: not those of which what is stored
    shows for certain that they have none."""
    today = await uow.business_date()
    first, last = draft_notices.window(today)
    page = await repository.page(uow, first, last, today - draft_notices.DUES_BEFORE, after, limit)
    coming: dict[UUID, list[StoredInstalment]] = defaultdict(list)
    for row in page.instalments:
        coming[row["loan_id"]].append(StoredInstalment(*(row[name] for name in StoredInstalment._fields)))
    told: dict[UUID, dict[date, int]] = defaultdict(dict)
    for row in page.notices:
        told[row["enrolment_id"]][row["process_date"]] = row["amount"]  # of several, the last one
    rows = page.enrolments
    candidates = [row["id"] for row in rows if _may_be_told(row, coming[row["loan_id"]], told[row["id"]], today)]
    return Looked(candidates, page.until)


def _may_be_told(row: Row, coming: list[StoredInstalment], told: Mapping[date, int], today: date) -> bool:
    """Whether a notice of an enrolment may be due: of one that is paused until then, it is always looked at."""
    if row["status"] != EnrolmentStatus.ACTIVE:
        return True
    amounts = amounts_of(row)
    stored = draft_notices.Stored(
        cadence=cadence_of(row),
        amounts=amounts,
        on_process_date=row["post_payment_update"],
        next_process_date=row["next_process_date"],
        before=_before(row["last_drafted"], amounts, row["level_payment"]),
        told=told,
        status=LoanStatus(row["loan_status"]),
        program=program_of(row["program_terms"]),
        payoff=row["payoff"],
        other_money=row["other_money"],
        unusual=row["under_way"] or row["processed_through"] is None or row["processed_through"] < today - timedelta(days=1),
        instalments=coming,
        last_number=row["last_number"] or 0,
    )
    return draft_notices.may_be_told(stored, today, bank_holidays())


def _before(last_drafted: int | None, amounts: AmountTerms, level_payment: int) -> int:
    return draft_notices.agreed(amounts, level_payment) if last_drafted is None else last_drafted


async def due(uow: UnitOfWork, enrolment_id: UUID) -> Notice | None:
    """The notice that is to be sent today of an enrolment's drafts; None when there is none, or the borrower has no mail
    address. Writes nothing. Raises NotFound."""
    row, today = await enrolment(uow, enrolment_id), await uow.business_date()
    in_window = await _in_window(uow, row, today)
    if not in_window:
        return None
    told = await repository.told(uow, enrolment_id, today)
    level = await repository.level_payment(uow, row["loan_id"])
    last = await repository.last_drafted(uow, enrolment_id)
    before = _before(last, amounts_of(row), level)
    # a day has one draft at most, so these reach the end of the window
    count = 1 if in_window == [row["next_process_date"]] else draft_notices.MOST_DAYS + 1
    drafts = (await outlook(uow, enrolment_id, count)).drafts
    found = draft_notices.to_notify(drafts, before, today, {on: amounts[-1] for on, amounts in told.items()})
    if found is None:
        return None
    number = len(told.get(found.process_date, ())) + 1
    return await _notice(uow, row, found, number, _instead_of(number, first=last is None and found == drafts[0]))


async def note_sent(uow: UnitOfWork, notice: Notice) -> None:
    """Record that a notice was sent, once."""
    on = await uow.business_date()
    if await repository.insert(uow, notice.enrolment_id, notice.process_date, notice.number, notice.amount, on):
        said = {"process_date": notice.process_date.isoformat(), "amount": format_amount(notice.amount)}
        await uow.audit("autopay.notice_sent", "autopay_enrolment", notice.enrolment_id, after=said)


async def _in_window(uow: UnitOfWork, row: Row, today: date) -> list[date]:
    """The process dates in today's window, as the stored schedule has them: without any the loan needs no replay."""
    first, last = draft_notices.window(today)
    if row["status"] == EnrolmentStatus.PAUSED and row["paused_until"] is not None:
        first = max(first, row["paused_until"])
    last = min(last, row["end_date"] or last)
    found: list[date] = []
    while first <= last:
        upcoming = await first_period(uow, row["loan_id"], cadence_of(row), amounts_of(row), first)
        if upcoming is None or upcoming > last:
            break
        found.append(upcoming)
        first = upcoming + timedelta(days=1)
    return found


def _instead_of(number: int, *, first: bool) -> str:
    """What the draft does not take, for the borrower: of it they may have been told before, and the `first` of all comes
    after none."""
    if number > 1:
        return "the amount that we wrote of before"
    return "the regular amount" if first else "the amount of the one before"


async def _notice(uow: UnitOfWork, row: Row, draft: Drafting, number: int, instead_of: str) -> Notice | None:
    to = await uow.one(addressee(row["loan_id"]), "borrower")
    if not to["email"]:
        return None
    assert draft.instrument_id is not None, "an amount is drafted from an account"
    (account,) = await uow.all(instruments.named([draft.instrument_id]))
    mail = letters.draft_ahead(
        await tenant_name(uow),
        to["email"],
        f"{to['first_name']} {to['last_name']}",
        format_amount(draft.amount),
        draft.process_date,
        account["account_number_last_four"],
        instead_of,
        f"autopay-notice-{row['id']}-{draft.process_date}-{number}-{draft.amount}",
    )
    return Notice(row["id"], draft.process_date, number, draft.amount, mail)
