"""The payments API as its public reference has it: its very bodies, and every field of its answers by name and kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from services.payments import RecordPayment, record
from tests.api.conftest import ApiClient, LoginAs
from tests.api.paying import REFERENCE, add, path_of
from tests.conftest import MakeTenant
from tests.domain.loans import under
from tests.services.lending import UowOf, active_loan, jump, loan_row

TERMS = replace(
    under(nsf_fee=25_00, grace_days=10),
    contract_date=date(2025, 12, 1),
    first_due_date=date(2026, 1, 5),
    annual_rate=Fraction(9, 100),
)
"""A loan with an instalment of 5 January 2026, so that the reference's dates are dates of its life."""

RECORD = {
    "amount": "500.00",
    "payment_method": "ach",
    "payment_instrument_id": "772a0622-a4bd-63f6-c938-668877662222",
    "effective_date": "2026-01-15",
    "external_id": "PMT-EXT-001",
}
PREVIEW = {"amount": "500.00"}
REVERSE = {"reason": "nsf", "assess_nsf_fee": True}
REFUND = {"amount": "500.00", "reason": "Customer overpayment"}
BACKDATE = {"effective_date": "2026-01-10"}
REIMBURSE = {"amount": "100.00", "reason": "Fee waiver reimbursement"}


def is_amount(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\d+\.\d\d", value) is not None


def is_id(value: Any) -> bool:
    return str(UUID(value)) == value


def is_date(value: Any) -> bool:
    return date.fromisoformat(value).isoformat() == value


def is_time(value: Any) -> bool:
    return value.endswith("Z") and datetime.fromisoformat(value).tzinfo is not None


def is_text(value: Any) -> bool:
    return isinstance(value, str)


Kind = Callable[[Any], bool]
RECORDED: dict[str, Kind] = {
    "id": is_id,
    "loan_id": is_id,
    "amount": is_amount,
    "payment_method": is_text,
    "status": is_text,
    "effective_date": is_date,
    "principal_applied": is_amount,
    "interest_applied": is_amount,
    "fees_applied": is_amount,
    "created_at": is_time,
}
PREVIEWED: dict[str, Kind] = {
    "amount": is_amount,
    "principal_applied": is_amount,
    "interest_applied": is_amount,
    "fees_applied": is_amount,
    "remaining_principal": is_amount,
    "overpayment": is_amount,
}


@dataclass(frozen=True, slots=True)
class Given:
    """A loan on 20 January 2026, and its lender's officer."""

    tenant: UUID
    officer: ApiClient
    loan_id: UUID
    instrument_id: str


@pytest.fixture
async def given(make_tenant: MakeTenant, login_as: LoginAs, uow_of: UowOf) -> Given:
    tenant = await make_tenant(TERMS.contract_date)
    officer = await login_as(tenant, "loan_officer")
    loan_id = await active_loan(uow_of, tenant, TERMS)
    await jump(uow_of, tenant, date(2026, 1, 20))
    async with uow_of(tenant) as uow:
        borrower = (await loan_row(uow, loan_id))["borrower_id"]
    instrument = await add(officer, path_of(str(borrower)), REFERENCE)
    return Given(tenant, officer, loan_id, instrument["id"])


async def recorded(given: Given, **changes: Any) -> dict[str, Any]:
    body = {**RECORD, "payment_instrument_id": given.instrument_id, **changes}
    response = await given.officer.post(f"/api/v1/loans/{given.loan_id}/payments", json=body)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


async def post(given: Given, url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    response = await given.officer.post(f"/api/v1{url}", json=body)
    return response.status_code, response.json()


def assert_fields(found: dict[str, Any], fields: dict[str, Kind]) -> None:
    assert [name for name, kind in fields.items() if name not in found or not kind(found[name])] == []


async def test_record_and_read(given: Given) -> None:
    found = await recorded(given)
    assert_fields(found, RECORDED)
    sent = {**RECORD, "payment_instrument_id": given.instrument_id}
    assert {name: found[name] for name in sent} == sent
    assert found["status"] == "completed"
    applied = sum(Fraction(found[name]) for name in ("principal_applied", "interest_applied", "fees_applied"))
    assert applied + Fraction(found["overpayment"]) == 500
    for url in (f"/payments/{found['id']}", "/payments", f"/loans/{given.loan_id}/payments"):
        response = await given.officer.get(f"/api/v1{url}")
        shown = response.json()
        assert_fields(shown if "id" in shown else shown["items"][0], RECORDED)


async def test_fees_then_interest_then_principal(given: Given) -> None:
    """The late fee of the instalment of 5 January stands since the 16th."""
    found = await recorded(given, effective_date="2026-01-20", amount="60.00")
    assert found["fees_applied"] == "30.00"
    assert (found["interest_applied"], found["principal_applied"]) == ("30.00", "0.00")


async def test_preview(given: Given) -> None:
    status, found = await post(given, f"/loans/{given.loan_id}/payments/preview", PREVIEW)
    assert status == 200
    assert_fields(found, PREVIEWED)
    done = await recorded(given, effective_date="2026-01-20")
    assert {name: done[name] for name in PREVIEWED if name in done} == {
        name: found[name] for name in PREVIEWED if name in done
    }


async def test_reverse(given: Given) -> None:
    payment = await recorded(given)
    status, done = await post(given, f"/payments/{payment['id']}/reverse", REVERSE)
    assert status == 200
    assert {(fee["key"], fee["after"]["amount"]) for fee in done["fees"] if fee["change"] == "assessed"} >= {
        (f"nsf_fee:{payment['id']}", "25.00")
    }
    assert done["after"]["days_past_due"] == 15, "delinquency is recalculated"
    assert any(entry["kind"] == "mirror" for entry in done["journal"])
    shown = (await given.officer.get(f"/api/v1/payments/{payment['id']}")).json()
    assert shown["status"] == "reversed"


async def test_refund(given: Given) -> None:
    """The reference's 500.00 is all of the payment, which has paid what was due: that needs the override."""
    payment = await recorded(given)
    status, refused = await post(given, f"/payments/{payment['id']}/refund", REFUND)
    assert (status, refused["code"]) == (409, "not_unapplied")
    assert "override" in refused["allowed"]
    status, done = await post(given, f"/payments/{payment['id']}/refund", REFUND | {"override": True})
    assert (status, done["amount"], done["reason"]) == (201, "500.00", "Customer overpayment")


async def test_refund_of_an_overpayment(given: Given) -> None:
    payment = await recorded(given, amount="11000.00")
    status, done = await post(given, f"/payments/{payment['id']}/refund", REFUND)
    assert (status, done["amount"], done["status"]) == (201, "500.00", "approved")


async def test_backdate(given: Given) -> None:
    payment = await recorded(given)
    status, _ = await post(given, f"/payments/{payment['id']}/backdate", BACKDATE)
    assert status == 200
    shown = (await given.officer.get(f"/api/v1/payments/{payment['id']}")).json()
    assert shown["effective_date"] == "2026-01-10"


async def test_reimbursement(given: Given) -> None:
    status, done = await post(given, f"/loans/{given.loan_id}/payments/reimbursement", REIMBURSE)
    assert (status, done["kind"], done["amount"], done["reason"]) == (
        201,
        "reimbursement",
        "100.00",
        "Fee waiver reimbursement",
    )
    assert (await given.officer.get(f"/api/v1/loans/{given.loan_id}/payments")).json()["items"] == []


@pytest.mark.parametrize("method", ["ach", "wire", "check", "card", "cash", "other"])
async def test_every_method(given: Given, method: str) -> None:
    by = given.instrument_id if method in ("ach", "wire", "check", "other") else None  # it is a bank account
    found = await recorded(given, payment_method=method, payment_instrument_id=by, external_id=f"by {method}")
    assert found["payment_method"] == method
    listed = (await given.officer.get("/api/v1/payments", params={"payment_method": method})).json()["items"]
    assert [item["id"] for item in listed] == [found["id"]]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ["b", "a"]),
        ({"status": "completed"}, ["b", "a"]),
        ({"status": "reversed"}, []),
        ({"payment_method": "check"}, ["b"]),
        ({"effective_from": "2026-01-15"}, ["b"]),
        ({"effective_to": "2026-01-14"}, ["a"]),
        ({"effective_from": "2026-01-10", "effective_to": "2026-01-15"}, ["b", "a"]),
        ({"external_id": "a"}, ["a"]),
        ({"external_id": "a", "payment_method": "check"}, []),
    ],
)
@pytest.mark.parametrize("of_loan", [False, True])
async def test_every_filter(given: Given, params: dict[str, str], expected: list[str], of_loan: bool) -> None:
    await recorded(given, external_id="a", effective_date="2026-01-10")
    await recorded(given, external_id="b", payment_method="check")
    url = f"/api/v1/loans/{given.loan_id}/payments" if of_loan else "/api/v1/payments"
    asked = params if of_loan else {**params, "loan_id": str(given.loan_id)}
    assert [item["external_id"] for item in (await given.officer.get(url, params=asked)).json()["items"]] == expected


ACTIONS = {
    "reverse": REVERSE,
    "reverse/preview": REVERSE,
    "backdate": BACKDATE,
    "backdate/preview": BACKDATE,
    "refund": REFUND,
    "refund/preview": REFUND,
}


@pytest.mark.parametrize(
    ("action", "state"),
    [(action, "reversed") for action in ACTIONS]
    + [(action, "processing") for action in ACTIONS if not action.startswith("backdate")],
)
async def test_a_wrong_state_is_named(given: Given, uow_of: UowOf, action: str, state: str) -> None:
    """Money on its way counts, so it can count from another day; it is neither reversed nor refunded."""
    if state == "reversed":
        payment_id = (await recorded(given))["id"]
        assert (await post(given, f"/payments/{payment_id}/reverse", REVERSE))[0] == 200
    else:
        draft = RecordPayment(
            given.loan_id, 500_00, "ach", source="autopay", status="processing", settlement_status="in_transit"
        )
        async with uow_of(given.tenant) as uow:
            payment_id = str((await record(uow, draft)).id)
            await uow.commit()
    status, refused = await post(given, f"/payments/{payment_id}/{action}", ACTIONS[action])
    assert (status, refused["state"]) == (409, state)
    assert state in refused["detail"]
    assert refused["allowed"]


@pytest.mark.parametrize(
    ("role", "reads", "writes"), [("viewer", 200, 403), ("loan_officer", 200, 200), ("borrower", 403, 403)]
)
async def test_permissions(login_as: LoginAs, given: Given, role: str, reads: int, writes: int) -> None:
    payment = await recorded(given)
    client = await login_as(given.tenant, role)
    for url in ("/payments", f"/payments/{payment['id']}", f"/loans/{given.loan_id}/payments"):
        assert (await client.get(f"/api/v1{url}")).status_code == reads
    answer = await client.post(f"/api/v1/loans/{given.loan_id}/payments/preview", json=PREVIEW)
    assert answer.status_code == writes
