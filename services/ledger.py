"""The books: the one place that posts, the trial balance, and the proof that books and loans say the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from domain.chart import Account
from domain.journal import accrual_corrections, corrections
from domain.replay import Replay
from infra.db.queries import journal as queries
from infra.db.repositories import journal
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


async def post(uow: UnitOfWork, replays: Mapping[UUID, Replay], *, since: date = date.min) -> int:
    """Post what is missing so that the journal of each loan says what its replay implies; returns the entries posted.

    Replaying is causal: an event changes nothing that was effective before it. So whoever knows the earliest date that
    can have changed gives it as `since`, and nothing older is read. The loans' rows must be locked.
    """
    posted = await journal.posted_since(uow, list(replays), since)
    month = since.replace(day=1)
    new = {}
    for loan_id, replay in replays.items():
        known = posted[loan_id]
        implied = [entry for entry in replay.entries if entry.effective_date >= since]
        earned = {of: amount for of, amount in replay.accruals.items() if of >= month}
        new[loan_id] = [
            *corrections(implied, known.entries),
            *accrual_corrections(earned, known.accruals, replay.state.as_of),
        ]
    latest = max((replay.state.as_of for replay in replays.values()), default=date.min)
    return await journal.insert_entries(uow, new, posted, max(await uow.business_date(), latest))


async def trial_balance(uow: UnitOfWork, as_of: date) -> list[Balance]:
    """Every account of the chart with its debits and credits posted up to and including `as_of`. One query."""
    sums = {row["account"]: row for row in await uow.all(queries.account_sums(as_of))}
    return [
        Balance(account, sums[account]["debit"], sums[account]["credit"]) if account in sums else Balance(account, 0, 0)
        for account in Account
    ]


async def reconcile(uow: UnitOfWork) -> list[Control]:
    """Compare the control accounts with the loans' cached balances, loan by loan. One query, one snapshot.

    Own: 1100, 1110, 1120, 2000. Memo: 9100, the principal of charged-off loans.
    """
    return [
        Control(Account(row["account"]), row["ledger"], row["loans"], row["differing"], tuple(row["loan_ids"] or ()))
        for row in await uow.all(queries.control_accounts())
    ]


def reconciled(controls: Iterable[Control]) -> bool:
    """Whether not one loan differs from its journal."""
    return not any(control.differing for control in controls)
