"""The books: the one place that posts, the trial balance, and the proof that books and loans say the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from domain.chart import Account
from domain.correction import interest_of
from domain.journal import Entry, Series, accrual_corrections, additions, to_post
from domain.replay import Replay
from infra.db.queries import journal as queries
from infra.db.repositories import journal, periods
from infra.db.uow import UnitOfWork


@dataclass(frozen=True, slots=True)
class Balance:
    """Sums of one account, in minor units."""

    account: Account
    debit: int
    credit: int

    @property
    def net(self) -> int:
        """Debits less credits: the nets of all accounts sum to 0."""
        return self.debit - self.credit


@dataclass(frozen=True, slots=True)
class Control:
    """A control account against the loans: both balances in minor units, on the account's normal side.

    `differing` is the number of loans whose journal and cached balance differ, `loan_ids` the first hundred of them.
    """

    account: Account
    ledger: int
    loans: int
    differing: int
    loan_ids: tuple[UUID, ...]


async def post(
    uow: UnitOfWork,
    replays: Mapping[UUID, Replay],
    *,
    since: date = date.min,
    posted_at: datetime | None = None,
    stored: Mapping[UUID, Replay] | None = None,
) -> int:
    """Post what is missing so that the journal of each loan says what its replay implies; returns the entries posted.

    Replaying is causal: an event changes nothing that was effective before it. So whoever knows the earliest date that
    can have changed gives it as `since`, and nothing older is read. The loans' rows must be locked. An entry whose
    effective date lies in a closed period is posted on the business date. `posted_at`: the instant (UTC) the cause was
    recorded at; default: that of the unit of work. `stored`: the replays of which loans the journal is known to say all that
    they imply; what is posted of the others is read.
    """
    more = {loan_id: _more(known, replays[loan_id]) for loan_id, known in (stored or {}).items()}
    added = {loan_id: entries for loan_id, entries in more.items() if entries is not None}
    latest = max((replay.state.as_of for replay in replays.values()), default=date.min)
    replays = {loan_id: replay for loan_id, replay in replays.items() if loan_id not in added}
    posted = await journal.posted_since(uow, list(replays), since) if replays else {}
    month = since.replace(day=1)
    new = {}
    for loan_id, replay in replays.items():
        known = posted[loan_id]
        implied = [entry for entry in replay.entries if entry.effective_date >= since]
        earned = {
            series: {of: amount for of, amount in months.items() if of >= month}
            for series, months in interest_of(replay).items()
        }
        new[loan_id] = to_post(implied, earned, known.entries, known.accruals, replay.state.as_of)
    if not any(new.values()) and not any(added.values()):
        return 0
    stamp = journal.Stamp(
        books=await periods.hold_open(uow),
        business_date=max(await uow.business_date(), latest),
        posted_at=posted_at or uow.recorded_at,
    )
    return journal.add_entries(uow, added, stamp) + await journal.insert_entries(uow, new, posted, stamp)


def _more(stored: Replay, replay: Replay) -> list[Entry] | None:
    """What to post where the journal says what `stored` implies; None when something of it is to be taken back."""
    new = additions(replay.entries, stored.entries)
    if new is None:
        return None
    earned, posted = interest_of(replay), interest_of(stored)
    for series in Series:
        new += accrual_corrections(earned[series], posted[series], replay.state.as_of, series)
    return new


async def trial_balance(uow: UnitOfWork, as_of: date) -> list[Balance]:
    """Every account of the chart with its debits and credits posted up to and including `as_of`. One query."""
    sums = {row["account"]: row for row in await uow.all(queries.account_sums(as_of))}
    return [
        Balance(account, sums[account]["debit"], sums[account]["credit"]) if account in sums else Balance(account, 0, 0)
        for account in Account
    ]


async def reconcile(uow: UnitOfWork) -> list[Control]:
    """Compare the control accounts with the loans' cached balances, loan by loan. One query, one snapshot.

    Own: 1100, 1110, 1120, 1125, 1126, 1130, 2000. Memo: 9100, all that is owed of charged-off loans; 9110, interest on
    non-accrual.
    """
    return [
        Control(Account(row["account"]), row["ledger"], row["loans"], row["differing"], tuple(row["loan_ids"] or ()))
        for row in await uow.all(queries.control_accounts())
    ]


def reconciled(controls: Iterable[Control]) -> bool:
    """Whether not one loan differs from its journal."""
    return not any(control.differing for control in controls)
