"""What a correction of a loan's history changes: its state, its allocations, its fees, its interest, its books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

from domain.journal import Entry, Interest, Series, to_post
from domain.loan import Allocation, Fee, LoanState
from domain.replay import Replay

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


@dataclass(frozen=True, slots=True)
class Correction:
    """The difference a correction makes, with all it brings about.

    `allocations` in the order of the payments' dates and `fees` in that of their assessment: those that change, appear
    or vanish. `accruals`: by the first day of the month, the change of the interest earned in it (minor units), own or
    memo. `entries`: what is posted, in its order; the interest of the business date itself is in it when it was not
    posted yet.
    """

    before: LoanState
    after: LoanState
    allocations: tuple[Change[Allocation], ...]
    fees: tuple[Change[Fee], ...]
    accruals: dict[date, int]
    entries: tuple[Entry, ...]


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
    deltas: Counter[date] = Counter()
    for months in interest_of(after).values():
        deltas.update(months)
    for months in interest_of(before).values():
        deltas.subtract(months)
    return Correction(
        before=before.state,
        after=after.state,
        allocations=tuple(sorted(_changes(before.allocations, after.allocations), key=lambda c: c.there.effective_date)),
        fees=tuple(
            sorted(_changes(_by_key(before.state.fees), _by_key(after.state.fees)), key=lambda c: c.there.assessed_on)
        ),
        accruals={month: delta for month, delta in sorted(deltas.items()) if delta},
        entries=tuple(to_post(after.entries, interest_of(after), posted.entries, interest_of(posted), after.state.as_of)),
    )


def _by_key(fees: Iterable[Fee]) -> dict[str, Fee]:
    return {fee.key: fee for fee in fees}


def _changes(before: Mapping[str, T], after: Mapping[str, T]) -> list[Change[T]]:
    keys = [*before, *(key for key in after if key not in before)]
    changes = [Change(before.get(key), after.get(key)) for key in keys]
    return [change for change in changes if change.before != change.after]
