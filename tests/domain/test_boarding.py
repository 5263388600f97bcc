"""A row of a tape becomes a loan, or is rejected with the column and the reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.boarding import BoardedLoan, RejectedRow, TapeMapping, board_row, mapping_from_dict
from domain.errors import InvalidInput
from domain.events import Event
from domain.loan import InstalmentStatus, LoanStatus
from domain.replay import Replay, replay

AS_OF = date(2018, 6, 30)
MAPPING_YAML: dict[str, Any] = {
    "columns": {
        "loan_number": "number",
        "principal_amount": "amount",
        "term_periods": "term",
        "annual_rate": "rate",
        "level_payment": "payment",
        "issue_month": "issued",
        "status": "state",
        "balance": "owed",
        "principal_paid": "paid",
    },
    "issue_day": 1,
    "as_of": AS_OF,
    "statuses": {
        "Current": {"status": "active"},
        "Grace": {"status": "active", "days_past_due": 8},
        "Late": {"status": "active", "days_past_due": 31},
        "Paid": {"status": "paid_off"},
        "Lost": {"status": "charged_off"},
    },
    "program": {"name": "Tape", "terms": {"limits": {"max_principal": "40000.00", "max_periods": 60}}},
}
MAPPING = mapping_from_dict(MAPPING_YAML)
ROW = {
    "number": "CL-00001",
    "amount": "10000",
    "term": "36",
    "rate": "5.32",
    "payment": "301.15",
    "issued": "Jan-18",
    "state": "Current",
    "owed": "8704.48",
    "paid": "1295.52",
}


def read(mapping: TapeMapping = MAPPING, as_of: date = AS_OF, **cells: str) -> BoardedLoan:
    return board_row(mapping, mapping.program, {**ROW, **cells}, as_of)


def opened(loan: BoardedLoan, as_of: date = AS_OF) -> Replay:
    return replay(loan.terms, [Event(1, AS_OF, loan.body)], as_of)


def test_a_current_loan_goes_on_with_its_next_instalment() -> None:
    loan = read()
    assert loan.loan_number == "CL-00001"
    terms = loan.terms
    assert (terms.principal, terms.annual_rate, terms.periods) == (1_000_000, Fraction(532, 10_000), 36)
    assert (terms.contract_date, terms.first_due_date) == (date(2018, 1, 1), date(2018, 2, 1))
    assert (loan.body.status, loan.body.principal, loan.body.level_payment) == (LoanStatus.ACTIVE, 870_448, 30_115)
    assert loan.body.oldest_unpaid_due_date == date(2018, 7, 1)
    assert loan.booked.schedule.level_payment == 30_115
    assert str(loan.booked.apr) == "5.3200"
    assert loan.remarks == ()


def test_unpaid_interest_is_what_the_balance_earned_since_the_last_due_date() -> None:
    loan = read()
    june = round(870_448 * 532 / 10_000 / 12)
    assert loan.body.interest == round(june * 29 / 30)
    state = opened(loan).state
    assert state.accrued_interest == loan.body.interest
    assert all(row.prior_interest == 0 for row in state.instalments), "so the contract's interest is billed, no less"


@pytest.mark.parametrize(
    ("state", "oldest", "dpd", "bucket"),
    [
        ("Current", date(2018, 7, 1), 0, "current"),
        ("Grace", date(2018, 6, 1), 29, "dpd_1_29"),
        ("Late", date(2018, 5, 1), 60, "dpd_60_89"),
    ],
)
def test_a_status_stands_for_its_fewest_days_past_due(state: str, oldest: date, dpd: int, bucket: str) -> None:
    loan = read(state=state)
    assert loan.body.oldest_unpaid_due_date == oldest
    stands = opened(loan).state
    assert (stands.days_past_due, stands.delinquency_bucket) == (dpd, bucket)
    past_due = [row for row in stands.instalments if row.status is InstalmentStatus.PAST_DUE]
    assert stands.past_due_amount == sum(row.payment for row in past_due) > 0 or state == "Current"


def test_a_paid_off_loan_owes_nothing() -> None:
    state = opened(read(state="Paid", owed="0", paid="10000")).state
    assert (state.status, state.principal_balance, state.instalments) == (LoanStatus.PAID_OFF, 0, ())


def test_a_loan_with_nothing_left_is_paid_off_whatever_its_status_says() -> None:
    loan = read(owed="0.00")
    assert loan.body.status is LoanStatus.PAID_OFF
    assert [remark.code for remark in loan.remarks] == ["paid_off_by_balance"]


def test_a_charged_off_loan_is_still_owed_what_was_not_paid() -> None:
    loan = read(state="Lost", owed="0", paid="1000.01")
    assert (loan.body.status, loan.body.principal, loan.body.interest) == (LoanStatus.CHARGED_OFF, 899_999, 0)


def test_the_contracts_own_payment_is_kept_and_an_odd_one_remarked() -> None:
    loan = read(payment="310.00")
    assert loan.body.level_payment == 31_000
    assert loan.booked.schedule.rows[0].payment == 31_000
    (remark,) = loan.remarks
    assert (remark.code, remark.column, remark.value) == ("odd_level_payment", "payment", "310.00")
    assert "301.15" in remark.reason
    assert read(payment="301.16").remarks == (), "a cent is rounding"
    assert read(payment="").body.level_payment == 30_115, "a tape need not give it"


@pytest.mark.parametrize(
    ("cells", "column", "reason"),
    [
        ({"number": ""}, "number", "must be a text"),
        ({"number": "x" * 51}, "number", "must be a text"),
        ({"amount": "ten"}, "amount", "decimal"),
        ({"amount": "0"}, "amount", "at least"),
        ({"amount": "40000.01"}, "amount", "program allows"),
        ({"owed": "-1"}, "owed", "negative"),
        ({"owed": "10000.01"}, "owed", "more than what was lent"),
        ({"owed": "1e3"}, "owed", "decimal"),
        ({"owed": "8704.485"}, "owed", "decimal places"),
        ({"rate": "5,32"}, "rate", "percent"),
        ({"rate": "NaN"}, "rate", "percent"),
        ({"rate": "101"}, "rate", "program allows"),
        ({"term": "36.5"}, "term", "whole number"),
        ({"term": "72"}, "term", "program allows"),
        ({"issued": "Foo-18"}, "issued", "month"),
        ({"issued": "2018-13"}, "issued", "month"),
        ({"issued": "Jul-18"}, "issued", "after the reporting date"),
        ({"state": "Sleeping"}, "state", "unknown status"),
        ({"state": "Paid"}, "owed", "is not 0"),
        ({"state": "Late", "issued": "May-18"}, "state", "cannot be"),
        ({"payment": "0"}, "payment", "at least"),
        ({"payment": "20.00"}, "payment", "does not cover"),
        ({"state": "Lost", "owed": "0", "paid": "10001"}, "paid", "more than what was lent"),
    ],
)
def test_what_is_not_understood_rejects_the_row(cells: dict[str, str], column: str, reason: str) -> None:
    with pytest.raises(RejectedRow) as rejected:
        board_row(MAPPING, MAPPING.program, {**ROW, **cells}, AS_OF)
    assert [error.pointer for error in rejected.value.errors] == [column]
    assert reason in rejected.value.errors[0].message


def test_every_wrong_cell_of_a_row_is_named() -> None:
    with pytest.raises(RejectedRow) as rejected:
        read(amount="x", rate="y", state="z")
    assert {error.pointer for error in rejected.value.errors} == {"amount", "rate", "state"}


def test_a_month_is_read_in_each_of_its_forms() -> None:
    for text in ("Jan-18", "JAN-2018", "2018-01", "2018-01-17"):
        assert read(issued=text).terms.contract_date == date(2018, 1, 1)


@settings(max_examples=150, deadline=None)
@given(
    amount=st.integers(100_000, 4_000_000),
    share=st.integers(1, 100),
    rate=st.integers(0, 3599),
    term=st.sampled_from([12, 36, 60]),
    state=st.sampled_from(["Current", "Grace", "Late"]),
    issued=st.sampled_from(["Jan-18", "Feb-18", "2017-03"]),
)
def test_a_boarded_loan_bills_exactly_its_balance(
    amount: int, share: int, rate: int, term: int, state: str, issued: str
) -> None:
    owed = max(1, amount * share // 100)
    cells = {"amount": f"{amount // 100}.{amount % 100:02d}", "owed": f"{owed // 100}.{owed % 100:02d}"}
    cells |= {"rate": f"{rate // 100}.{rate % 100:02d}", "term": str(term), "payment": ""}
    row = {**ROW, **cells, "state": state, "issued": issued}
    loan = board_row(MAPPING, MAPPING.program, row, AS_OF)
    result = opened(loan)
    assert result.accruals == {}, "nothing is earned on the day it was taken over"
    assert sum(row.principal for row in result.state.instalments) == result.state.principal_balance == owed
    assert result.state.accrued_interest == loan.body.interest
    assert all(row.prior_interest == 0 for row in result.state.instalments)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"columns": {}}, "/columns/loan_number"),
        ({"columns": {**MAPPING_YAML["columns"], "colour": "c"}}, "/columns/colour"),
        ({"statuses": {}}, "/statuses"),
        ({"statuses": {"Current": {"status": "happy"}}}, "/statuses/Current"),
        ({"statuses": {"Late": {"status": "active", "days_past_due": -1}}}, "/statuses/Late"),
        ({"issue_day": 31}, "/issue_day"),
        ({"as_of": "soon"}, "/as_of"),
        ({"program": {}}, "/program"),
        ({"program": {"name": "p", "terms": {"grace_days": "many"}}}, "/program/terms/grace_days"),
        ({"colour": "blue"}, "/colour"),
    ],
)
def test_a_wrong_mapping_is_refused_at_its_pointer(changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        mapping_from_dict({**MAPPING_YAML, **changes})
    assert pointer in {error.pointer for error in refused.value.errors}


def test_the_program_need_not_be_the_mappings() -> None:
    strict = replace(MAPPING.program, limits=replace(MAPPING.program.limits, max_periods=12))
    with pytest.raises(RejectedRow):
        board_row(MAPPING, strict, ROW, AS_OF)
