"""A loan is its events: read them under the loan's lock, replay them, and store what the replay says.

Everything that changes a loan goes through here, one loan or a page of them, so the cached columns, the schedule, the
allocations and the journal can only ever be the result of one replay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import takewhile
from uuid import UUID

from domain.errors import InvalidInput, NotFound, Refusal
from domain.events import Event, EventBody
from domain.going_on import GoingOn
from domain.happenings import Seen, happenings
from domain.history import Known, Record, refusal_of, surviving, surviving_with
from domain.loan import SETTLED, Fingerprint, LoanState, fingerprint
from domain.replay import Replay, replay
from domain.terms import LoanTerms
from infra.db.pipeline import Asked, Row
from infra.db.repositories import loans as repository
from infra.db.repositories.payments import save_allocations
from infra.db.uow import UnitOfWork
from services import ledger, outbox


@dataclass(slots=True)
class LockedLoan:
    """A loan as read in this transaction: its row, its contract, its history, and the events of it that stand.

    `row` stays as it was read; `records`, `events`, `processed_through` and `seen` (what others were told of it last) follow
    what this transaction does. `first_new`: the number of the first record it adds. `stored`: the replay of which everything
    that is cached and posted of the loan is known to be, see `remember`.
    """

    row: Row
    terms: LoanTerms
    records: list[Record]
    processed_through: date | None
    events: list[Event] = field(init=False)
    first_new: int = field(init=False)
    seen: Seen = field(init=False)
    stored: Replay | None = None
    _going: GoingOn | None = None
    _print: Fingerprint | None = None

    def __post_init__(self) -> None:
        self.events = surviving(self.records)
        self.first_new = self.last_number + 1
        self.seen = Seen(self.row["status"], self.row["delinquency_bucket"])

    @property
    def id(self) -> UUID:
        loan_id: UUID = self.row["id"]
        return loan_id

    @property
    def last_number(self) -> int:
        """The number of the last record of the history; 0 when there is none."""
        return self.records[-1].number if self.records else 0

    def add(self, records: Iterable[Record]) -> None:
        """Take new records into the history."""
        new = list(records)
        self.records.extend(new)
        self.events = surviving_with(self.events, self.records, new)

    def replay(self, as_of: date, known_as_of: Known = None) -> Replay:
        """What the loan's events, as far as they were known (None: all), give at the close of `as_of`. Writes nothing.

        Raises what is wrong with what this transaction added, or WrongState naming the earlier event it makes impossible.
        """
        if known_as_of is not None:
            return replay(self.terms, surviving(self.records, known_as_of), as_of)
        try:
            return self._at(as_of)
        except Refusal:
            self._going = None
            raise refusal_of(self.terms, self.records, as_of, self.first_new) from None

    def _at(self, as_of: date) -> Replay:
        """The replay at a day: it goes on from where it is, if it can."""
        if self._going is None or not (self._going.can_see(as_of) and self._going.follow(self.events)):
            self._going = GoingOn(self.terms, self.events)
        return self._going.at(as_of)

    def remember(self) -> None:
        """Find out whether what is stored of the loan, which was just read, is what its replay says: then what a change
        does can be told from the two replays, and need not be read. It is not where the engine has changed since."""
        if self.stored is None and self.processed_through is not None and self.last_number < self.first_new:
            found = self._at(self.processed_through)
            known = (self.hash_of(found.state), self.last_number)
            self.stored = found if known == (self.row["state_hash"], self.row["last_sequence"]) else None

    def hash_of(self, state: LoanState) -> str:
        """The hash of a state of this loan."""
        self._print = fingerprint(state, self._print)
        return self._print.digest


WritePayments = Callable[[Mapping[UUID, Replay]], Collection[UUID]]
"""Writes the rows of new payments, with where their money went by the replays of their loans; returns their ids."""

LoanEvent = tuple[LockedLoan, EventBody, date]
"""Something that happened to a loan, with its effective date."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """A line to add to a loan's history: a new event, or what takes the place of the record it supersedes, which must stand.
    Without a body that record is voided."""

    body: EventBody | None
    effective_date: date
    supersedes: Record | None = None


async def lock_loan(uow: UnitOfWork, loan_id: UUID) -> LockedLoan:
    """Take the loan's row FOR UPDATE, then read its events. Raises NotFound("loan")."""
    return await _one(uow, loan_id, lock=True)


async def load_loan(uow: UnitOfWork, loan_id: UUID) -> LockedLoan:
    """Read a loan to look at it, without a lock: for previews and quotes. Raises NotFound("loan")."""
    return await _one(uow, loan_id, lock=False)


async def lock_loans(uow: UnitOfWork, loan_ids: Iterable[UUID]) -> list[LockedLoan]:
    """Lock several loans in the order of their ids; ids which do not exist are left out."""
    found, _ = await read_loans(uow, loan_ids, lock=True)
    return found


async def read_loans(
    uow: UnitOfWork, loan_ids: Iterable[UUID], *asked: Asked, lock: bool
) -> tuple[list[LockedLoan], list[list[Row]]]:
    """Several loans in the order of their ids, and what is asked besides, all in one round trip and in this order: with
    `lock`, what is read after the loans' rows is read under their locks. Ids which do not exist are left out."""
    ids = sorted(set(loan_ids))
    rows, records, *others = await uow.fetch(repository.loan_rows(ids, lock=lock), repository.histories(ids), *asked)
    return _loans(rows, records), others


async def with_events(uow: UnitOfWork, rows: Sequence[Row]) -> list[LockedLoan]:
    """Loans from rows that carry `program_terms`, with their events. The rows must be locked before, if they are to be."""
    (records,) = await uow.fetch(repository.histories([row["id"] for row in rows]))
    return _loans(rows, records)


def _loans(rows: Sequence[Row], histories: Sequence[Row]) -> list[LockedLoan]:
    records = repository.records_of(histories)
    return [
        LockedLoan(
            row=row,
            terms=LoanTerms(
                program=repository.program_of(row["program_terms"]),
                principal=row["principal_amount"],
                annual_rate=row["annual_rate"],
                periods=row["term_periods"],
                contract_date=row["origination_date"],
                first_due_date=row["first_due_date"],
                level_payment=row["stated_payment"],
                balloon=row["balloon"],
                interest_only_periods=row["interest_only_periods"],
                deferred_periods=row["deferred_periods"],
                due_days=tuple(row["due_days"]),
                prepaid_finance_charge=row["prepaid_finance_charge"],
            ),
            records=records[row["id"]],
            processed_through=row["processed_through"],
        )
        for row in rows
    ]


async def replay_at(
    uow: UnitOfWork, loan_id: UUID, effective_as_of: date | None = None, known_as_of: Known = None
) -> tuple[LoanTerms, Replay]:
    """A loan's contract, and its replay to the close of a day (default: the business date) as it was known at a time.

    Raises NotFound, and InvalidInput at /effective_as_of for a day after the business date: what is to come is simulated.
    """
    loan = await load_loan(uow, loan_id)
    as_of = await today(uow, loan)
    if effective_as_of is not None and effective_as_of > as_of:
        raise InvalidInput.at("/effective_as_of", f"must not be after the business date, {as_of}", code="date_in_future")
    return loan.terms, loan.replay(effective_as_of or as_of, known_as_of)


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


async def apply_events(
    uow: UnitOfWork, events: Sequence[LoanEvent], write_payments: WritePayments | None = None
) -> dict[UUID, Replay]:
    """Record source events (loan, body, effective date) of locked loans with the next numbers, in one replay a loan.

    The loans are replayed to the business date; cached state, schedule, fees, allocations and journal follow. A payment
    named by an event must have its row already, or gets it from `write_payments`, which is given the replays. Raises
    InvalidInput for a date after the business date, and whatever the replay refuses.
    """
    loans = list({loan.id: loan for loan, _, _ in events}.values())
    as_of = await today(uow, *loans)
    for _, _, effective_date in events:
        if effective_date > as_of:
            raise InvalidInput.at("/effective_date", f"must not be after the business date, {as_of}", code="date_in_future")
    await _catch_up(uow, loans, as_of)
    new: dict[UUID, list[Amendment]] = {loan.id: [] for loan in loans}
    for loan, body, effective_date in events:
        new[loan.id].append(Amendment(body, effective_date))
    return await _record(uow, [(loan, new[loan.id]) for loan in loans], as_of, write_payments=write_payments)


async def amend(uow: UnitOfWork, loan: LockedLoan, amendments: Sequence[Amendment], reason: str | None) -> Replay:
    """Add lines to the history of a locked loan, in one replay, and store what the loan is then.

    Raises WrongState when a record that is to be superseded does not stand, and whatever the replay refuses.
    """
    as_of = await today(uow, loan)
    await _catch_up(uow, [loan], as_of)
    return (await _record(uow, [(loan, amendments)], as_of, reason))[loan.id]


def amended(uow: UnitOfWork, loan: LockedLoan, amendments: Sequence[Amendment], as_of: date) -> list[Record]:
    """The records that amendments are: numbered on, each in the place of the one it supersedes."""
    at = _instant(uow, [loan])
    result = []
    for number, item in enumerate(amendments, loan.last_number + 1):
        old = item.supersedes
        position, supersedes = (number, None) if old is None else (old.position, old.number)
        result.append(Record(number, position, item.effective_date, item.body, supersedes, at, as_of))
    return result


async def _catch_up(uow: UnitOfWork, loans: Sequence[LockedLoan], as_of: date) -> None:
    """Bring loans that lag behind through the day before, so that what was earned until then is posted as of then."""
    yesterday = as_of - timedelta(days=1)
    lagging = [loan for loan in loans if loan.processed_through is not None and loan.processed_through < yesterday]
    await store(uow, lagging, yesterday)


def _instant(uow: UnitOfWork, loans: Sequence[LockedLoan]) -> datetime:
    """When something is recorded: read under the locks of the loans, and never before what their histories have, so that
    the order of the instants is that of the numbers."""
    return max([uow.clock(), *(loan.records[-1].recorded_at for loan in loans if loan.records)])


async def _record(
    uow: UnitOfWork,
    new: Sequence[tuple[LockedLoan, Sequence[Amendment]]],
    as_of: date,
    reason: str | None = None,
    *,
    write_payments: WritePayments | None = None,
) -> dict[UUID, Replay]:
    records = [(loan, amended(uow, loan, amendments, as_of)) for loan, amendments in new]
    await repository.append_records(uow, [(loan.id, record) for loan, of_loan in records for record in of_loan], reason)
    numbers = {loan.id: loan.last_number + 1 for loan, _ in records}
    for loan, of_loan in records:
        loan.add(of_loan)
    items = [item for _, amendments in new for item in amendments]
    changed = [item.effective_date for item in items]
    changed += [item.supersedes.effective_date for item in items if item.supersedes is not None]
    loans = [loan for loan, _ in new]
    return await store(uow, loans, as_of, changed_from=min(changed), recorded_from=numbers, write_payments=write_payments)


async def store(
    uow: UnitOfWork,
    loans: Sequence[LockedLoan],
    as_of: date,
    *,
    changed_from: date | None = None,
    recorded_from: Mapping[UUID, int] | None = None,
    write_payments: WritePayments | None = None,
) -> dict[UUID, Replay]:
    """Replay locked loans to `as_of` and write what changed, in a handful of statements however many loans they are.

    `changed_from` is the earliest effective date of events whose effect is not stored yet. Replaying is causal: nothing
    effective before it, and before the dates the loans were processed through, can have changed, so nothing older is read.
    `recorded_from`: by loan, the number of the first record that others were not told of yet. `write_payments`: see
    `apply_events`.
    """
    if not loans:
        return {}
    replays = {loan.id: loan.replay(as_of) for loan in loans}
    states = {loan_id: result.state for loan_id, result in replays.items()}
    stored = {loan.id: loan.stored for loan in loans if loan.stored is not None}
    written = write_payments(replays) if write_payments is not None else ()
    since = min(loan.processed_through or date.min for loan in loans)
    await repository.save_states(
        uow, {loan.id: (states[loan.id], loan.hash_of(states[loan.id]), loan.last_number) for loan in loans}
    )
    if changed_from is None:
        on_time = {loan.id: states[loan.id] for loan in loans if _on_time(loan, states[loan.id])}
        await repository.save_schedules(uow, on_time, due_within=(since, as_of))
        await repository.save_schedules(uow, {loan_id: states[loan_id] for loan_id in states.keys() - on_time.keys()})
    else:
        since = min(since, changed_from)
        await repository.save_schedules(uow, states, stored={key: known.state for key, known in stored.items()})
        await save_allocations(
            uow,
            {loan_id: result.allocations for loan_id, result in replays.items()},
            since,
            stored={loan_id: known.allocations for loan_id, known in stored.items()},
            written=written,
        )
    await ledger.post(uow, replays, since=since, posted_at=_instant(uow, loans), stored=stored)
    await _tell(uow, loans, replays, recorded_from or {})
    for loan in loans:
        loan.processed_through = as_of
        loan.stored = replays[loan.id]
    return replays


async def _tell(
    uow: UnitOfWork, loans: Sequence[LockedLoan], replays: Mapping[UUID, Replay], recorded_from: Mapping[UUID, int]
) -> None:
    """Tell others what was recorded of the loans, and how their states have changed since they were told last."""
    told: list[outbox.Told] = []
    for loan in loans:
        last, result = loan.last_number, replays[loan.id]
        found = happenings(loan.seen, loan.records, recorded_from.get(loan.id, last + 1), result)
        told += [(loan.id, last, item) for item in found]
        loan.seen = Seen(str(result.state.status), result.state.delinquency_bucket)
    await outbox.tell(uow, told, has_listeners=loans[0].row["has_listeners"])


def _on_time(loan: LockedLoan, state: LoanState) -> bool:
    """Whether time alone can have changed only the instalments that fell due since the loan was read: none is late, which
    changes what others take, no unapplied funds were applied, and it was not charged off."""
    due = takewhile(lambda row: row.due_date < state.as_of, state.instalments)
    unapplied = state.unapplied or loan.row["unapplied_balance"]
    return state.status == loan.row["status"] and not unapplied and all(row.status in SETTLED for row in due)


async def _one(uow: UnitOfWork, loan_id: UUID, *, lock: bool) -> LockedLoan:
    found, _ = await read_loans(uow, [loan_id], lock=lock)
    if not found:
        raise NotFound("loan")
    return found[0]
