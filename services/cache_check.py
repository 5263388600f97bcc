"""What is stored of a loan is a cache of its replay: recompute it, and name the loans where it is not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from infra.db.models.servicing import instalments, loan_fees
from infra.db.repositories import loans as repository
from infra.db.repositories.payments import differing_loans
from infra.db.uow import UnitOfWork
from services.replaying import LockedLoan, lock_loans, with_events

PAGE = 500


@dataclass(frozen=True, slots=True)
class Stale:
    """A loan whose cache differs from its replay: in these columns of its row, or in `schedule`, `fees`, `payments`."""

    loan_id: UUID
    differing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CacheCheck:
    """`checked` loans were looked at; `cursor` continues after the last of them, None when there are no more."""

    checked: int
    stale: tuple[Stale, ...]
    cursor: UUID | None


async def check_cache(uow: UnitOfWork, after: UUID | None = None, limit: int = PAGE) -> CacheCheck:
    """Recompute the next `limit` loans after `after` (in the order of their ids), each at the day it was last brought to.

    Nothing is written. A loan is read in several statements, between which it may change: one that seems to differ is
    looked at again under its lock.
    """
    rows = await repository.page_of_loans(uow, after, limit)
    loans = await with_events(uow, rows)
    suspects = await _stale(uow, loans)
    stale = await _stale(uow, await lock_loans(uow, [item.loan_id for item in suspects])) if suspects else []
    return CacheCheck(len(rows), tuple(stale), rows[-1]["id"] if len(rows) == limit else None)


async def _stale(uow: UnitOfWork, loans: Sequence[LockedLoan]) -> list[Stale]:
    replays = {loan.id: loan.replay(loan.processed_through) for loan in loans if loan.processed_through is not None}
    states = {loan_id: replay.state for loan_id, replay in replays.items()}
    found: dict[UUID, list[str]] = defaultdict(list)
    for loan in loans:
        if loan.id in states:
            values = repository.state_values(states[loan.id])
            found[loan.id] += [name for name, value in values.items() if loan.row[name] != value]
    for name, table, wanted in (
        ("schedule", instalments, repository.instalment_rows(states)),
        ("fees", loan_fees, repository.fee_rows(states)),
    ):
        wrong, gone = await repository.differences(uow, table, "loan_id", list(states), wanted)
        for loan_id in {at[0] for at in [*wrong, *gone]}:
            found[loan_id].append(name)
    for loan_id in await differing_loans(uow, {loan_id: replay.allocations for loan_id, replay in replays.items()}):
        found[loan_id].append("payments")
    return [Stale(loan_id, tuple(differing)) for loan_id, differing in sorted(found.items()) if differing]
