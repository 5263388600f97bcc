"""What a correction of a loan's history changes: its state, its allocations, its fees, its interest, its books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Generic, NamedTuple, TypeVar

from domain.journal import Entry, Interest, Series, to_post
from domain.loan import Allocation, Fee, Instalment, LoanState, LoanStatus
from domain.replay import Replay

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """Something before and after; None where it is not there."""

    before: T | None
    after: T | None

    @property
    def there(self) -> T:
        """What is there: after, else before."""
        value = self.before if self.after is None else self.after
        assert value is not None
        return value


class Earned(NamedTuple):
    """Interest earned in a month, own and memo, before and after: minor units."""

    before: int
    after: int

    @property
    def change(self) -> int:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Correction:
    """The difference a correction makes, with all it brings about.

    `instalments` in the order of their numbers, `allocations` in that of the payments' dates and `fees` in that of their
    assessment: those that change, appear or vanish. `accruals`: by the first day of the month, the interest earned in it,
    of months in which that changes. `entries`: what is posted, in its order; the interest of the business date itself is
    in it when it was not posted yet.
    """

    before: LoanState
    after: LoanState
    instalments: tuple[Change[Instalment], ...]
    allocations: tuple[Change[Allocation], ...]
    fees: tuple[Change[Fee], ...]
    accruals: dict[date, Earned]
    entries: tuple[Entry, ...]

    @property
    def reopens(self) -> bool:
        """Whether a loan that had been paid off is not any more."""
        return self.before.status is LoanStatus.PAID_OFF and self.after.status is not LoanStatus.PAID_OFF


def interest_of(replay: Replay) -> Interest:
    """The interest a replay says is earned, by series and month."""
    return {
        Series.OWN: replay.accruals,
        Series.NON_ACCRUAL: replay.memo_accruals,
        Series.CHARGED_OFF: replay.charged_off_accruals,
    }


def correction(before: Replay, after: Replay, posted: Replay) -> Correction:
    """Compare a loan's history with the corrected one, both replayed to the same day.

    `posted` is the replay that the journal stands for: the uncorrected history up to the day the loan was last brought to.
    """
    earned_before, earned_after = _by_month(interest_of(before)), _by_month(interest_of(after))
    months = {m: Earned(earned_before[m], earned_after[m]) for m in sorted({*earned_before, *earned_after})}
    return Correction(
        before=before.state,
        after=after.state,
        instalments=tuple(_changes(_by_number(before.state.instalments), _by_number(after.state.instalments))),
        allocations=tuple(sorted(_changes(before.allocations, after.allocations), key=lambda c: c.there.effective_date)),
        fees=tuple(
            sorted(_changes(_by_key(before.state.fees), _by_key(after.state.fees)), key=lambda c: c.there.assessed_on)
        ),
        accruals={month: earned for month, earned in months.items() if earned.change},
        entries=tuple(to_post(after.entries, interest_of(after), posted.entries, interest_of(posted), after.state.as_of)),
    )


def _by_month(interest: Interest) -> Counter[date]:
    sums: Counter[date] = Counter()
    for months in interest.values():
        sums.update(months)
    return sums


def _by_number(rows: Iterable[Instalment]) -> dict[int, Instalment]:
    return {row.number: row for row in rows}


def _by_key(fees: Iterable[Fee]) -> dict[str, Fee]:
    return {fee.key: fee for fee in fees}


def _changes(before: Mapping[K, T], after: Mapping[K, T]) -> list[Change[T]]:
    keys = [*before, *(key for key in after if key not in before)]
    changes = [Change(before.get(key), after.get(key)) for key in keys]
    return [change for change in changes if change.before != change.after]
