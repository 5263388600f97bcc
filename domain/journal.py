"""Double entry: an entry is a list of transfers, so it balances by construction, and nothing posted is ever edited.

A correction is therefore more entries: the mirror of what was posted, and the replacement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple

from domain.calendars import last_of_month
from domain.chart import Account


class EntryKind(StrEnum):
    DISBURSEMENT = "disbursement"
    BOARDING = "boarding"
    PAYMENT = "payment"
    SETTLEMENT = "settlement"
    LATE_FEE = "late_fee"
    NSF_FEE = "nsf_fee"
    OTHER_FEE = "other_fee"
    INSTALMENT_FEE = "instalment_fee"
    WAIVER = "waiver"
    APPLICATION = "application"
    REFUND = "refund"
    REIMBURSEMENT = "reimbursement"
    REFUND_SENT = "refund_sent"
    CHARGE_OFF = "charge_off"
    RECOVERY = "recovery"
    CHARGEBACK = "chargeback"
    NON_ACCRUAL = "non_accrual"
    ACCRUAL = "accrual"
    MIRROR = "mirror"


class Series(StrEnum):
    """Interest earned is posted by month in three series, whose names begin the keys of their entries: own, memo while the
    loan is on non-accrual, and memo while it is charged off."""

    OWN = "accrual"
    NON_ACCRUAL = "memo_accrual"
    CHARGED_OFF = "charged_off_accrual"


Interest = Mapping[Series, Mapping[date, int]]
"""Interest (minor units) of each series by the first day of the month."""

_ACCRUED: Final = {
    Series.OWN: (Account.ACCRUED_INTEREST, Account.INTEREST_INCOME),
    Series.NON_ACCRUAL: (Account.MEMO_NON_ACCRUAL_INTEREST, Account.MEMO_CONTRA),
    Series.CHARGED_OFF: (Account.MEMO_CHARGED_OFF, Account.MEMO_CONTRA),
}
"""What a month's interest debits and credits."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """`amount` minor units (> 0) from the credited to the debited account."""

    debit: Account
    credit: Account
    amount: int

    def __post_init__(self) -> None:
        if self.amount <= 0 or self.debit == self.credit:
            raise ValueError(f"not a transfer: {self}")


class Entry(NamedTuple):
    """What one event (or derived fee, or month's accrual) posts. `key` names it within the loan.

    Keys: "disbursed", "boarded", "payment:{payment_id}", "settled:{payment_id}", a fee's own ("late_fee:{due_date}"),
    "waiver:{id}", "unapplied:{id}", "refund:{id}", "reimbursement:{id}" (and either with ":sent"), "charged_off",
    "chargeback:{id}", "non_accrual:{date}", "accrual:{yyyy-mm}" and the other series. A mirror has the key and effective
    date of the entry it takes back, and the kind `mirror`.
    """

    key: str
    kind: EntryKind
    effective_date: date
    payment_id: str | None
    transfers: tuple[Transfer, ...]


def mirror(entry: Entry) -> Entry:
    """The entry that takes `entry` back: every transfer with its sides exchanged.

    Raises ValueError for a mirror: what was taken back is posted anew, not un-taken.
    """
    if entry.kind is EntryKind.MIRROR:
        raise ValueError(f"{entry.key} is a mirror already")
    swapped = tuple(Transfer(t.credit, t.debit, t.amount) for t in entry.transfers)
    return entry._replace(kind=EntryKind.MIRROR, transfers=swapped)


def standing(posted: Iterable[Entry]) -> dict[str, Entry]:
    """By key, the posted entries that no mirror has taken back. `posted` in the order of posting; accruals left out."""
    result: dict[str, Entry] = {}
    for entry in posted:
        if entry.kind is EntryKind.MIRROR:
            result.pop(entry.key, None)
        elif entry.kind is not EntryKind.ACCRUAL:
            result[entry.key] = entry
    return result


def corrections(implied: Iterable[Entry], posted: Iterable[Entry]) -> list[Entry]:
    """What to post so that the books say what the replay implies.

    `implied`: the entries of a replay. `posted`: all entries of the loan in the order they were posted (or only those
    standing); accrual entries are ignored, see `accrual_corrections`. A key not posted: the entry. A key posted with
    other transfers or another effective date: mirror of the posted one, then the implied. A posted key no longer
    implied: its mirror. Mirrors of what vanished come first, the rest in the order of `implied`.
    """
    stands = standing(posted)
    wanted = [entry for entry in implied if entry.transfers]  # what moves nothing is no entry
    keys = {entry.key for entry in wanted}
    result = [mirror(entry) for key, entry in stands.items() if key not in keys]
    for entry in wanted:
        old = stands.get(entry.key)
        if old is not None:
            if _same(old, entry):
                continue
            result.append(mirror(old))
        result.append(entry)
    return result


def _same(posted: Entry, implied: Entry) -> bool:
    """Transfers are compared by what moves between which accounts: a database need not keep their order."""
    return posted.effective_date == implied.effective_date and sorted(
        (t.debit, t.credit, t.amount) for t in posted.transfers
    ) == sorted((t.debit, t.credit, t.amount) for t in implied.transfers)


def to_post(
    implied: Iterable[Entry], earned: Interest, posted: Iterable[Entry], accrued: Interest, business_date: date
) -> list[Entry]:
    """All that is missing in the journal: `corrections`, then `accrual_corrections` of each series."""
    result = corrections(implied, posted)
    for series in Series:
        result += accrual_corrections(earned.get(series, {}), accrued.get(series, {}), business_date, series)
    return result


def additions(implied: Iterable[Entry], posted: Iterable[Entry]) -> list[Entry] | None:
    """What to post where what is posted is what an earlier replay implied: the entries of new keys. None when one that was
    posted is no longer implied, or otherwise: then `corrections` says what to post.

    Both as replays give them, each key once.
    """
    stands = {entry.key: entry for entry in posted if entry.transfers}
    result = []
    for entry in implied:
        if entry.transfers:
            old = stands.pop(entry.key, None)
            if old is None:
                result.append(entry)
            elif old != entry:
                return None
    return None if stands else result


def accrual_corrections(
    implied: Mapping[date, int], posted: Mapping[date, int], business_date: date, series: Series = Series.OWN
) -> list[Entry]:
    """Accrual entries of a series: for every month whose earned interest differs from what is posted, one net delta.

    Keys of both are first days of months, values minor units (posted: net of earlier deltas). Effective date: the
    business date in its own month, else the month's last day. A negative delta is the transfer with sides exchanged.
    """
    result: list[Entry] = []
    for month in sorted(implied.keys() | posted.keys()):
        delta = implied.get(month, 0) - posted.get(month, 0)
        if delta == 0:
            continue
        sides = _ACCRUED[series]
        debit, credit = sides if delta > 0 else sides[::-1]
        own = (business_date.year, business_date.month) == (month.year, month.month)
        effective = business_date if own else last_of_month(month)
        result.append(
            Entry(
                key=f"{series}:{month:%Y-%m}",
                kind=EntryKind.ACCRUAL,
                effective_date=effective,
                payment_id=None,
                transfers=(Transfer(debit, credit, abs(delta)),),
            )
        )
    return result
