"""Events as they are kept, the fingerprint of a state, buckets."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest

from domain.delinquency import bucket, dpd
from domain.errors import InvalidInput
from domain.events import Disbursed, Event, EventBody, PaymentReceived, PaymentSettled, event_from_dict, event_to_dict
from domain.loan import LoanStatus, fingerprint, state_hash
from tests.domain.loans import boarded, run

DAY = date(2020, 10, 9)


@pytest.mark.parametrize(
    "body",
    [
        Disbursed(1_000_000),
        PaymentReceived(29747, "p1"),
        PaymentSettled("p1"),
        boarded(principal=5, interest=4, late_fees=3, oldest=DAY, level=2),
        boarded(status=LoanStatus.PAID_OFF),
    ],
)
def test_an_event_survives_json(body: EventBody) -> None:
    event = Event(1, DAY, body)
    assert event_from_dict(event.kind, json.loads(json.dumps(event_to_dict(body)))) == body


def test_money_is_kept_as_decimal_strings_and_dates_as_iso() -> None:
    assert event_to_dict(PaymentReceived(29747, "p1")) == {"amount": "297.47", "payment_id": "p1"}
    assert event_to_dict(boarded(principal=500, oldest=DAY))["oldest_unpaid_due_date"] == "2020-10-09"


@pytest.mark.parametrize(
    ("kind", "data", "pointer"),
    [
        ("loan_burnt", {}, "/kind"),
        ("disbursed", {}, "/amount"),
        ("payment_received", {"amount": 5.0, "payment_id": "x"}, "/amount"),
        ("payment_settled", {"payment_id": ""}, "/payment_id"),
        ("boarded", {"status": "lost"}, "/status"),
        (
            "boarded",
            {**event_to_dict(boarded(principal=5)), "oldest_unpaid_due_date": "9 October"},
            "/oldest_unpaid_due_date",
        ),
    ],
)
def test_what_is_no_event_is_refused(kind: str, data: dict[str, object], pointer: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        event_from_dict(kind, data)
    assert refusal.value.errors[0].pointer == pointer


def test_the_hash_of_a_state_says_everything_but_payment_ids_and_sequences() -> None:
    loan = run(DAY, (DAY, 100)).state
    assert len(state_hash(loan)) == 64
    assert state_hash(loan) == state_hash(run(DAY, (DAY, 100)).state)
    assert state_hash(loan) != state_hash(run(DAY, (DAY, 101)).state)
    assert state_hash(loan) != state_hash(replace(loan, per_diem=loan.per_diem + 1))


def test_a_fingerprint_is_the_same_whatever_it_is_made_from() -> None:
    """Also of a state that has fewer instalments than the other, after a curtailment."""
    states = [
        run(DAY, *payments).state for payments in ([], [(DAY, 100)], [(DAY, 100), (DAY, 5_000_00)], [(DAY, 20_000_00)])
    ]
    for state in states:
        for other in states:
            assert fingerprint(state, fingerprint(other)) == fingerprint(state)


@pytest.mark.parametrize(
    ("days", "name"),
    [(0, "current"), (1, "dpd_1_29"), (29, "dpd_1_29"), (30, "dpd_30_59"), (59, "dpd_30_59"), (60, "dpd_60_89"),
     (89, "dpd_60_89"), (90, "dpd_90_119"), (119, "dpd_90_119"), (120, "dpd_120_plus"), (4000, "dpd_120_plus")],
)  # fmt: skip
def test_buckets(days: int, name: str) -> None:
    assert bucket(days) == name


def test_days_past_due_count_from_the_day_after_the_due_date() -> None:
    assert [dpd(date(2020, 10, day), DAY) for day in (8, 9, 10, 19)] == [0, 0, 1, 10]
    assert dpd(DAY, None) == 0
    with pytest.raises(ValueError, match="cannot be -1"):
        bucket(-1)
