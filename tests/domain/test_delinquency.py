"""Days past due, and when and how often a loan was past due."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest

from domain.delinquency import bucket
from domain.loan import InstalmentStatus, LoanState
from domain.program import LateFee
from tests.domain.loans import EXAMPLE, LEVEL, state, under

NO_FEES = under(late_fee=LateFee())
DUES = [row.due_date for row in state(EXAMPLE.contract_date).instalments]


def history(loan: LoanState) -> tuple[date | None, int, int, date | None]:
    return loan.first_delinquency_date, loan.times_delinquent, loan.delinquent_days, loan.last_current_date


@pytest.mark.parametrize(
    ("days", "name"),
    [(0, "current"), (1, "dpd_1_29"), (29, "dpd_1_29"), (30, "dpd_30_59"), (59, "dpd_30_59"), (60, "dpd_60_89"),
     (89, "dpd_60_89"), (90, "dpd_90_119"), (119, "dpd_90_119"), (120, "dpd_120_plus"), (999, "dpd_120_plus")],
)  # fmt: skip
def test_buckets(days: int, name: str) -> None:
    assert bucket(days) == name


@pytest.mark.parametrize(
    ("paid", "on", "expected"),
    [
        ([], "2020-10-09", (None, 0, 0, "2020-10-09")),
        ([], "2020-10-10", ("2020-10-10", 1, 1, "2020-10-09")),
        ([], "2020-12-31", ("2020-10-10", 1, 83, "2020-10-09")),
        ([("2020-10-10", LEVEL)], "2020-10-10", (None, 0, 0, "2020-10-10")),
        ([("2020-10-12", LEVEL)], "2020-10-20", ("2020-10-10", 1, 2, "2020-10-20")),
        ([("2020-10-12", LEVEL), ("2020-11-14", LEVEL)], "2020-11-20", ("2020-10-10", 2, 6, "2020-11-20")),
        ([("2020-10-12", LEVEL), ("2020-11-14", LEVEL)], "2020-12-10", ("2020-10-10", 3, 7, "2020-12-09")),
        ([("2020-11-12", LEVEL)], "2020-11-20", ("2020-10-10", 1, 42, "2020-10-09")),
        ([("2020-09-24", 1_001_850)], "2021-01-01", (None, 0, 0, "2021-01-01")),
    ],
)
def test_when_a_loan_was_late(
    paid: list[tuple[str, int]], on: str, expected: tuple[str | None, int, int, str | None]
) -> None:
    found = history(state(date.fromisoformat(on), *((date.fromisoformat(d), a) for d, a in paid), terms=NO_FEES))
    first, times, days, last = expected
    assert found == (first and date.fromisoformat(first), times, days, last and date.fromisoformat(last))


def test_a_backdated_payment_takes_the_lateness_away() -> None:
    assert history(state(date(2020, 10, 20), (date(2020, 10, 9), LEVEL))) == (None, 0, 0, date(2020, 10, 20))


@pytest.mark.parametrize("seed", range(6))
def test_the_history_is_what_looking_at_every_day_counts(seed: int) -> None:
    random = Random(seed)
    paid = [
        (due + timedelta(days=random.randint(-3, 40)), random.choice([LEVEL, LEVEL - 500, 2 * LEVEL])) for due in DUES[:8]
    ]
    last = date(2021, 9, 1)
    first, times, days, current, late_before = None, 0, 0, None, False
    for offset in range((last - EXAMPLE.contract_date).days + 1):
        day = EXAMPLE.contract_date + timedelta(days=offset)
        loan = state(day, *(each for each in paid if each[0] <= day))
        late = loan.days_past_due > 0
        first = first or (day if late else None)
        times += late and not late_before
        days += late
        current = current if late else day
        late_before = late
        assert history(loan) == (first, times, days, current)


def test_what_the_program_tolerates_is_not_past_due() -> None:
    terms = under(delinquency_tolerance=100, late_fee=LateFee())
    for short, late in ((100, False), (101, True)):
        loan = state(date(2020, 10, 20), (DUES[0], LEVEL - short), terms=terms)
        assert (loan.days_past_due > 0, loan.past_due_amount > 0, loan.delinquent_days > 0) == (late, late, late)
        assert loan.instalments[0].status is (InstalmentStatus.PAST_DUE if late else InstalmentStatus.PARTIAL)
        assert loan.next_due_amount == LEVEL + short
