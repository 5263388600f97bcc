"""A loan is its events: read them under the loan's lock, replay them, and store what the replay says.

Everything that changes a loan goes through here, one loan or a page of them, so the cached columns, the schedule, the
allocations and the journal can only ever be the result of one replay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy.engine import RowMapping

from domain.errors import InvalidInput, NotFound
from domain.events import Event, EventBody
from domain.replay import Replay, replay
from domain.terms import LoanTerms
from infra.db.repositories import loans as repository
from infra.db.repositories.payments import save_allocations
from infra.db.uow import UnitOfWork
from services import ledger


@dataclass(slots=True)
class LockedLoan:
    """A loan as read in this transaction: its row, its contract and its source events in the order of recording.

    `row` stays as it was read; `events` and `processed_through` follow what this transaction does.
    """

    row: RowMapping
    terms: LoanTerms
    events: list[Event]
    processed_through: date | None

    @property
    def id(self) -> UUID:
        loan_id: UUID = self.row["id"]
        return loan_id

    @property
    def last_sequence(self) -> int:
        return self.events[-1].sequence if self.events else 0

    def replay(self, as_of: date) -> Replay:
        """What the loan's events give at the close of `as_of`. Writes nothing."""
        return replay(self.terms, self.events, as_of)


LoanEvent = tuple[LockedLoan, EventBody, date]
"""Something that happened to a loan, with its effective date."""


async def lock_loan(uow: UnitOfWork, loan_id: UUID) -> LockedLoan:
    """Take the loan's row FOR UPDATE, then read its events. Raises NotFound("loan")."""
    return await _one(uow, loan_id, lock=True)


async def load_loan(uow: UnitOfWork, loan_id: UUID) -> LockedLoan:
    """Read a loan to look at it, without a lock: for previews and quotes. Raises NotFound("loan")."""
    return await _one(uow, loan_id, lock=False)


async def lock_loans(uow: UnitOfWork, loan_ids: Iterable[UUID]) -> list[LockedLoan]:
    """Lock several loans in the order of their ids; ids which do not exist are left out."""
    return await with_events(uow, await repository.loan_rows(uow, sorted(set(loan_ids)), lock=True))


async def with_events(uow: UnitOfWork, rows: Sequence[RowMapping]) -> list[LockedLoan]:
    """Loans from rows that carry `program_terms`, with their events. The rows must be locked before, if they are to be."""
    programs = repository.programs_of(rows)
    events = await repository.events_of(uow, [row["id"] for row in rows])
    return [
        LockedLoan(
            row=row,
            terms=LoanTerms(
                program=programs[row["program_id"], row["program_version"]],
                principal=row["principal_amount"],
                annual_rate=row["annual_rate"],
                periods=row["term_periods"],
                contract_date=row["origination_date"],
                first_due_date=row["first_due_date"],
            ),
            events=events[row["id"]],
            processed_through=row["processed_through"],
        )
        for row in rows
    ]


async def today(uow: UnitOfWork, *loans: LockedLoan) -> date:
    """The date to replay loans to: the business date.

    A transaction that read the business date just before it moved may find a loan, once it has its lock, already
    processed through the next one; a loan never goes back.
    """
    business_date = await uow.business_date()
    return max([business_date, *(loan.processed_through for loan in loans if loan.processed_through is not None)])


async def apply_event(uow: UnitOfWork, loan: LockedLoan, body: EventBody, effective_date: date) -> Replay:
    """Record one source event of a locked loan and store what the loan is then. See `apply_events`."""
    return (await apply_events(uow, [(loan, body, effective_date)]))[loan.id]


async def apply_events(uow: UnitOfWork, events: Sequence[LoanEvent]) -> dict[UUID, Replay]:
    """Record source events (loan, body, effective date) of locked loans with the next sequences, in one replay a loan.

    The loans are replayed to the business date; cached state, schedule, fees, allocations and journal follow. A payment
    named by an event must have its row already. Raises InvalidInput for a date after the business date, and whatever
    the replay refuses.
    """
    loans = list({loan.id: loan for loan, _, _ in events}.values())
    as_of = await today(uow, *loans)
    yesterday = as_of - timedelta(days=1)
    lagging = [loan for loan in loans if loan.processed_through is not None and loan.processed_through < yesterday]
    await store(uow, lagging, yesterday)  # so that what was earned until then is posted as of then
    new: list[tuple[UUID, Event]] = []
    for loan, body, effective_date in events:
        if effective_date > as_of:
            raise InvalidInput.at("/effective_date", f"must not be after the business date, {as_of}", code="date_in_future")
        event = Event(loan.last_sequence + 1, effective_date, body)
        loan.events.append(event)
        new.append((loan.id, event))
    await repository.append_events(uow, new, as_of)
    return await store(uow, loans, as_of, changed_from=min(event.effective_date for _, event in new))


async def store(
    uow: UnitOfWork, loans: Sequence[LockedLoan], as_of: date, *, changed_from: date | None = None
) -> dict[UUID, Replay]:
    """Replay locked loans to `as_of` and write what changed, in a handful of statements however many loans they are.

    `changed_from` is the earliest effective date of events whose effect is not stored yet. Replaying is causal: nothing
    effective before it, and before the dates the loans were processed through, can have changed, so nothing older is read.
    """
    if not loans:
        return {}
    replays = {loan.id: loan.replay(as_of) for loan in loans}
    states = {loan_id: result.state for loan_id, result in replays.items()}
    since = min(loan.processed_through or date.min for loan in loans)
    await repository.save_states(uow, {loan.id: (states[loan.id], loan.last_sequence) for loan in loans})
    if changed_from is None:
        await repository.save_schedules(uow, states, due_within=(since, as_of))
    else:
        since = min(since, changed_from)
        await repository.save_schedules(uow, states)
        await save_allocations(uow, {loan_id: result.allocations for loan_id, result in replays.items()}, since)
    await ledger.post(uow, replays, since=since)
    for loan in loans:
        loan.processed_through = as_of
    return replays


async def _one(uow: UnitOfWork, loan_id: UUID, *, lock: bool) -> LockedLoan:
    rows = await repository.loan_rows(uow, [loan_id], lock=lock)
    if not rows:
        raise NotFound("loan")
    return (await with_events(uow, rows))[0]
