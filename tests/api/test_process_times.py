"""Drafts are prepared before the day's cutoff, whichever of the two is chosen last: else they would go out a day late."""

from __future__ import annotations

import asyncio
from datetime import time
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from infra.db.models.processes import autopay_enrolments
from tests.api.conftest import ApiClient
from tests.api.lending import pointers
from tests.workflows.platform import Borrowed, Rows

RAIL = "/api/v1/tenant/rail"


@pytest.fixture
def rows(engine: Any, tenant: UUID) -> Rows:
    return Rows(engine, tenant)


async def cutoff(admin: ApiClient, at: str) -> Any:
    return await admin.put(RAIL, json={"rail": "sandbox", "cutoff_time": at})


async def enrol(officer: ApiClient, loan: Borrowed, at: str | None) -> Any:
    body = {"payment_instrument_id": str(loan.instrument_id), "process_time": at}
    return await officer.post(f"/api/v1/loans/{loan.loan_id}/autopay", json=body)


async def test_a_process_time_is_before_the_cutoff(admin: ApiClient, loan_officer: ApiClient, rows: Rows) -> None:
    loan = await rows.borrowed()
    url = f"/api/v1/loans/{loan.loan_id}/autopay"
    assert (await enrol(loan_officer, loan, "16:00")).status_code == 422, "the default cutoff"
    assert (await cutoff(admin, "18:00")).status_code == 200
    assert (await enrol(loan_officer, loan, "17:59")).status_code == 201
    late = await loan_officer.patch(url, json={"process_time": "18:00"})
    (error,) = late.json()["errors"]
    assert (late.status_code, error["pointer"]) == (422, "/process_time")
    assert error["message"] == "must be before the day's cutoff at 18:00"


async def test_a_cutoff_is_not_moved_before_process_times_and_they_are_named(
    admin: ApiClient, loan_officer: ApiClient, rows: Rows
) -> None:
    assert (await cutoff(admin, "18:00")).status_code == 200
    loans = [await rows.borrowed() for _ in range(4)]
    for loan, at in zip(loans, ("17:30", "15:00", "13:59", None), strict=True):
        assert (await enrol(loan_officer, loan, at)).status_code == 201
    paused = await loan_officer.post(f"/api/v1/loans/{loans[1].loan_id}/autopay/pause")
    assert paused.status_code == 200, "it drafts again once it is resumed"

    refused = await cutoff(admin, "14:00")
    problem = refused.json()
    assert (refused.status_code, pointers(refused), problem["code"]) == (422, {"/cutoff_time"}, "before_process_times")
    assert "must be after 17:30" in problem["detail"]
    assert "2 autopays prepare" in problem["detail"]
    for loan in loans[:2]:
        assert (await rows.loan(loan.loan_id))["loan_number"] in problem["detail"]
    assert (await admin.get(RAIL)).json()["cutoff_time"] == "18:00"

    assert (await cutoff(admin, "17:31")).status_code == 200
    assert (await cutoff(admin, "17:30")).status_code == 422, "prepared at the cutoff is prepared too late"
    await loan_officer.patch(f"/api/v1/loans/{loans[0].loan_id}/autopay", json={"process_time": "12:00"})
    one = await cutoff(admin, "15:00")
    assert (one.status_code, "1 autopay prepares" in one.json()["detail"]) == (422, True)
    await loan_officer.delete(f"/api/v1/loans/{loans[1].loan_id}/autopay")
    assert (await cutoff(admin, "14:00")).status_code == 200


async def test_who_was_late_before_stands_in_the_way_of_nothing_else(
    admin: ApiClient, loan_officer: ApiClient, rows: Rows
) -> None:
    """Of a time when nobody looked: other settings, other terms and a later cutoff are chosen as before."""
    loan = await rows.borrowed()
    assert (await enrol(loan_officer, loan, "12:00")).status_code == 201
    async with rows.uow() as uow:
        await uow.execute(update(autopay_enrolments).values(process_time=time(17, 30)))
        await uow.commit()
    for at in ("16:00", "16:30"):
        assert (await cutoff(admin, at)).status_code == 200
    url = f"/api/v1/loans/{loan.loan_id}/autopay"
    assert (await loan_officer.patch(url, json={"retry_days": 1})).json()["process_time"] == "17:30"
    assert (await loan_officer.patch(url, json={"process_time": "16:30"})).status_code == 422


async def test_both_chosen_at_once_do_not_pass_each_other(admin: ApiClient, loan_officer: ApiClient, rows: Rows) -> None:
    for _ in range(5):
        loan = await rows.borrowed()
        assert (await cutoff(admin, "18:00")).status_code == 200
        enrolled, moved = await asyncio.gather(enrol(loan_officer, loan, "17:30"), cutoff(admin, "14:00"))
        assert (enrolled.status_code, moved.status_code) in {(201, 422), (422, 200)}
        await loan_officer.delete(f"/api/v1/loans/{loan.loan_id}/autopay")
