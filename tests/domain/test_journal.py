"""Double entry: balanced by construction, corrected by more entries, never edited."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from domain import posting
from domain.chart import Account, AccountKind, Side
from domain.journal import (
    Entry,
    EntryKind,
    Series,
    Transfer,
    accrual_corrections,
    corrections,
    mirror,
    standing,
    to_post,
)
from domain.loan import Allocation, LoanStatus
from domain.working import OpenFee
from tests.domain.loans import LEVEL, boarded, gl, run

DAY = date(2020, 10, 9)


def moves(entry: Entry | None) -> list[tuple[int, int, int]]:
    assert entry is not None
    return [(int(t.debit), int(t.credit), t.amount) for t in entry.transfers]


def test_the_chart_has_names_kinds_and_sides() -> None:
    assert len({account.title for account in Account}) == len(Account) == 30
    assert (Account.PRINCIPAL.kind, Account.PRINCIPAL.normal_side) == (AccountKind.ASSET, Side.DEBIT)
    assert (Account.UNAPPLIED.kind, Account.UNAPPLIED.normal_side) == (AccountKind.LIABILITY, Side.CREDIT)
    assert (Account.INTEREST_INCOME.kind, Account.WAIVERS.kind) == (AccountKind.INCOME, AccountKind.EXPENSE)
    assert (Account.MEMO_CONTRA.kind, Account.MEMO_CONTRA.normal_side) == (AccountKind.MEMO, Side.CREDIT)
    assert Account.ALLOWANCE.normal_side is Side.CREDIT


@pytest.mark.parametrize(("debit", "credit", "amount"), [(1000, 1010, 0), (1000, 1010, -5), (1000, 1000, 5)])
def test_a_transfer_moves_something_somewhere(debit: int, credit: int, amount: int) -> None:
    with pytest.raises(ValueError, match="not a transfer"):
        Transfer(Account(debit), Account(credit), amount)


def test_the_table_of_the_books() -> None:
    assert moves(posting.disbursement(500, DAY)) == [(1100, 1000, 500)]
    owed = boarded(principal=7, interest=5, late_fees=3)
    assert moves(posting.boarding(owed, DAY)) == [(1100, 1990, 7), (1110, 1990, 5), (1120, 1990, 3)]
    assert moves(posting.boarding(replace(owed, status=LoanStatus.CHARGED_OFF), DAY)) == [(9100, 9900, 15)]
    assert posting.boarding(boarded(status=LoanStatus.PAID_OFF), DAY) is None
    paid = posting.payment(Allocation("x", DAY, 1, 2, 3, 4, ()))
    assert moves(paid) == [(1010, 1120, 1), (1010, 1110, 2), (1010, 1100, 3), (1010, 2000, 4)]
    assert (paid.key, paid.payment_id) == ("payment:x", "x")
    assert moves(posting.settlement("x", 10, DAY)) == [(1000, 1010, 10)]
    fee = posting.fee(OpenFee("late_fee:2020-10-09", 1, DAY, DAY, 3000))
    assert (moves(fee), fee.key) == ([(1120, 4010, 3000)], "late_fee:2020-10-09")


def test_a_mirror_takes_back_and_is_not_taken_back_itself() -> None:
    entry = posting.payment(Allocation("x", DAY, 1, 2, 3, 4, ()))
    back = mirror(entry)
    assert (back.key, back.kind, back.effective_date) == (entry.key, EntryKind.MIRROR, DAY)
    assert not any(gl([entry, back]).values())
    with pytest.raises(ValueError, match="mirror already"):
        mirror(back)


def test_nothing_to_correct() -> None:
    implied = run(date(2020, 12, 1), (DAY, LEVEL)).entries
    shuffled = [entry._replace(transfers=entry.transfers[::-1]) for entry in implied]
    assert corrections(implied, shuffled) == []


def test_a_changed_entry_is_mirrored_and_posted_anew() -> None:
    old = posting.payment(Allocation("x", DAY, 0, 2, 3, 0, ()))
    for new in (
        posting.payment(Allocation("x", DAY, 1, 1, 3, 0, ())),
        posting.payment(Allocation("x", date(2020, 10, 1), 0, 2, 3, 0, ())),
    ):
        assert corrections([new], [old]) == [mirror(old), new]


def test_corrections_of_corrections_start_from_what_stands() -> None:
    first = posting.payment(Allocation("x", DAY, 0, 2, 3, 0, ()))
    second = posting.payment(Allocation("x", DAY, 1, 1, 3, 0, ()))
    history = [first, *corrections([second], [first])]
    assert standing(history) == {"payment:x": second}
    assert corrections([second], history) == []
    assert corrections([first], history) == [mirror(second), first]
    assert corrections([], history) == [mirror(second)]
    assert corrections([first], [*history, mirror(second)]) == [first]


def test_accruals_are_corrected_by_one_net_delta_a_month() -> None:
    september, october, november = (date(2020, month, 1) for month in (9, 10, 11))
    posted = {september: 2589, october: 3700, november: 100}
    entries = accrual_corrections({september: 2589, october: 3600, november: 150}, posted, date(2020, 11, 4))
    assert [(entry.key, entry.effective_date, moves(entry)) for entry in entries] == [
        ("accrual:2020-10", date(2020, 10, 31), [(4000, 1110, 100)]),
        ("accrual:2020-11", date(2020, 11, 4), [(1110, 4000, 50)]),
    ]
    (vanished,) = accrual_corrections({}, {september: 7}, date(2020, 11, 4))
    assert moves(vanished) == [(4000, 1110, 7)]
    assert corrections([], entries) == []


def test_interest_is_posted_in_its_series() -> None:
    """Own, memo on non-accrual, memo of a charged-off loan: each by month, each corrected by itself."""
    october = date(2020, 10, 1)
    earned = {Series.OWN: {october: 700}, Series.NON_ACCRUAL: {october: 300}, Series.CHARGED_OFF: {october: 20}}
    new = to_post([], earned, [], {Series.NON_ACCRUAL: {october: 350}}, date(2020, 11, 4))
    assert [(entry.key, moves(entry)) for entry in new] == [
        ("accrual:2020-10", [(1110, 4000, 700)]),
        ("memo_accrual:2020-10", [(9900, 9110, 50)]),
        ("charged_off_accrual:2020-10", [(9100, 9900, 20)]),
    ]
    assert to_post([], earned, [], earned, date(2020, 11, 4)) == []


def test_what_moves_nothing_is_no_entry() -> None:
    """A waiver of what was paid meanwhile waives nothing; what it had waived before is taken back."""
    old = posting.payment(Allocation("x", DAY, 0, 2, 3, 0, ()))
    nothing = old._replace(transfers=())
    assert corrections([nothing], []) == []
    assert corrections([nothing], [old]) == [mirror(old)]
