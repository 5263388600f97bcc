"""Files of payments over HTTP: upload, look, post, cancel, correct; and what is refused."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from domain.payment_file import MAX_BYTES
from infra.db.models.processes import workflow_intents
from infra.ids import new_id
from services import payment_batches as service
from tests.api.conftest import ApiClient
from tests.services.lending import UowOf, active_loan, counts, jump, loan_row

URL = "/api/v1/payment-batches"
HEADER = "loan_number,amount,date,method,external_id"
TODAY = date(2020, 9, 21)


async def send(client: ApiClient, *rows: str, header: str = HEADER, **headers: str) -> httpx.Response:
    content = "\r\n".join([header, *rows]).encode()
    return await client.post(URL, content=content, headers={"Content-Type": "text/csv; charset=utf-8", **headers})


async def upload(client: ApiClient, *rows: str) -> dict[str, Any]:
    response = await send(client, *rows)
    assert response.status_code == 201, response.text
    batch: dict[str, Any] = response.json()
    return batch


@pytest.fixture
async def number(uow_of: UowOf, tenant: UUID) -> str:
    """The number of an active loan; the business date is TODAY."""
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, TODAY)
    async with uow_of(tenant) as uow:
        return str((await loan_row(uow, loan_id))["loan_number"])


async def carry_out(uow_of: UowOf, tenant: UUID, batch_id: str) -> None:
    """What the workflow does."""
    async with uow_of(tenant) as uow:
        while await service.post_page(uow, UUID(batch_id)):
            pass
        await uow.commit()


async def test_from_the_upload_to_the_corrected_rejects(
    uow_of: UowOf, tenant: UUID, loan_officer: ApiClient, viewer: ApiClient, number: str
) -> None:
    batch = await upload(
        loan_officer, f"{number},50.00,2020-09-20,ach,A", f"{number},20000.00,,,B", "L-0,7.00,,,C", f"{number},=1+1,,,D"
    )
    url = f"{URL}/{batch['id']}"
    assert (batch["status"], batch["rows"], batch["control_total"]) == ("previewed", 4, "20050.00")
    assert batch["acceptable"] == {"rows": 1, "total": "50.00"}
    assert batch["unapplied"] == {"rows": 1, "total": "20000.00"}
    assert batch["left"] == {"rows": 2, "total": "20050.00"}
    assert batch["rejected"] == {"rows": 2, "total": "7.00"}
    assert batch["rejected_because"] == [
        {"code": "invalid_amount", "rows": 1, "total": "0.00"},
        {"code": "unknown_loan", "rows": 1, "total": "7.00"},
    ]
    assert (batch["workflow_id"], batch["status_url"], batch["business_date"]) == (None, None, "2020-09-21")
    assert (await viewer.get(url)).json() == batch

    posting = await loan_officer.post(f"{url}/post", json={"expected_total": "20050.00"})
    assert (posting.status_code, posting.json()["status"]) == (202, "posting")
    assert posting.json()["workflow_id"] == f"payment-batch/{batch['id']}"
    process = await viewer.get(posting.json()["status_url"])
    assert (process.status_code, process.json()["workflow_type"]) == (200, "PaymentBatchWorkflow")
    await carry_out(uow_of, tenant, batch["id"])

    done = (await viewer.get(url)).json()
    assert (done["status"], done["posted"], done["left"]["rows"]) == ("posted", {"rows": 2, "total": "20050.00"}, 0)
    posted = (await viewer.get(f"{url}/rows?outcome=posted")).json()["items"]
    assert [(row["line"], row["effective_date"], row["payment_method"]) for row in posted] == [
        (2, "2020-09-20", "ach"),
        (3, "2020-09-21", "check"),
    ]
    payment = (await viewer.get(f"/api/v1/payments/{posted[1]['payment_id']}")).json()
    assert (payment["amount"], payment["external_id"], payment["source"]) == ("20000.00", "B", "staff")
    assert payment["overpayment"] == posted[1]["would_be_unapplied"]

    rejects = await viewer.get(f"{url}/rejects")
    assert rejects.headers["content-type"].startswith("text/csv")
    assert "attachment" in rejects.headers["content-disposition"]
    assert list(csv.reader(io.StringIO(rejects.text))) == [
        [*HEADER.split(","), "line", "reason"],
        ["L-0", "7.00", "", "", "C", "4", "loan_number: there is no such loan"],
        [number, "'=1+1", "", "", "D", "5", 'amount: must be a decimal string such as "500.00"'],
    ]
    again = await loan_officer.post(URL, content=rejects.content, headers={"Content-Type": "text/csv"})
    assert (again.status_code, again.json()["rejected"]["rows"]) == (201, 2)


async def test_the_same_file_answers_with_the_first_batch(loan_officer: ApiClient, number: str) -> None:
    row = f"{number},50.00,,,A"
    first = await upload(loan_officer, row)
    again = await send(loan_officer, row)
    assert (again.status_code, again.json()) == (200, first)
    items = (await loan_officer.get(URL)).json()["items"]
    assert [(item["id"], item["status"]) for item in items] == [(first["id"], "previewed")]
    assert (await send(loan_officer, row, "L-0,1.00,,,B")).json()["id"] != first["id"]


async def test_an_idempotency_key_goes_with_a_file_too(loan_officer: ApiClient, number: str) -> None:
    key = {"Idempotency-Key": "key-1"}
    first = await send(loan_officer, f"{number},50.00,,,A", **key)
    again = await send(loan_officer, f"{number},50.00,,,A", **key)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await send(loan_officer, f"{number},51.00,,,A", **key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_rows_are_paged_in_the_order_of_the_file(loan_officer: ApiClient, number: str) -> None:
    batch = await upload(loan_officer, *(f"{number if n % 2 else 'L-0'},1.00,,,X{n}" for n in range(7)))
    lines, cursor = [], ""
    while cursor is not None:
        page = (await loan_officer.get(f"{URL}/{batch['id']}/rows?limit=3{cursor and '&cursor=' + cursor}")).json()
        lines += [row["line"] for row in page["items"]]
        cursor = page["next_cursor"]
    assert lines == [2, 3, 4, 5, 6, 7, 8]
    page = (await loan_officer.get(f"{URL}/{batch['id']}/rows?outcome=acceptable")).json()
    assert [row["line"] for row in page["items"]] == [3, 5, 7]
    wrong = await loan_officer.get(f"{URL}/{batch['id']}/rows?outcome=lost")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/outcome")


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"", "text/csv", 422, "invalid_input"),
        (b"\n", "text/csv", 422, "empty_file"),
        (b"amount\n1\n", "text/csv", 422, "invalid_columns"),
        (f"{HEADER}\n".encode(), "text/csv", 422, "empty_file"),
        (f'{HEADER}\n"L'.encode(), "text/csv", 422, "invalid_csv"),
        (b"\xff\xfe", "text/csv", 422, "invalid_encoding"),
        (b"a\0b", "text/csv", 422, "invalid_encoding"),
        (b'{"a":1}', "application/json", 415, "unsupported_media_type"),
        (f"{HEADER}\nL-0,1,,,A\n".encode(), "", 415, "unsupported_media_type"),
        (f"{HEADER}\nL-0,1,,,A\n".encode(), "text/plain", 415, "unsupported_media_type"),
        (f"{HEADER}\nL-0,1,,,A\n".encode(), "multipart/form-data; boundary=x", 415, "unsupported_media_type"),
        (b"x" * (MAX_BYTES + 1), "text/csv", 413, "body_too_large"),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else None,
)
async def test_a_file_that_is_refused_leaves_nothing(
    uow_of: UowOf, tenant: UUID, loan_officer: ApiClient, content: bytes, media_type: str, status: int, code: str
) -> None:
    async with uow_of(tenant) as uow:
        before = await counts(uow)
    headers = {"Content-Type": media_type} if media_type else {}
    response = await loan_officer.post(URL, content=content, headers=headers)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    async with uow_of(tenant) as uow:
        assert await counts(uow) == before


async def test_a_file_of_two_megabytes_is_taken(loan_officer: ApiClient) -> None:
    """More than other bodies may have."""
    rows = [f"L-{'0' * 40}{n},1.00,,,{'x' * 200}{n}" for n in range(8_000)]
    response = await send(loan_officer, *rows)
    assert (response.status_code, response.json()["rows"]) == (202, 8_000)


async def test_a_longer_file_says_how_far_its_preview_is(
    uow_of: UowOf, tenant: UUID, loan_officer: ApiClient, viewer: ApiClient, number: str
) -> None:
    page = service.PREVIEW_PAGE
    rows = [f"A-{n},7.00,,,A{n}" for n in range(page)]  # loans that are not there, and come first
    sent = await send(loan_officer, f"{number},50.00,,,X", *rows)
    batch, url = sent.json(), f"{URL}/{sent.json()['id']}"
    assert (sent.status_code, batch["status"], batch["control_total"]) == (202, "previewing", None)
    assert (batch["rows"], batch["rows_previewed"], batch["waiting"]) == (page + 1, page, {"rows": 1, "total": "50.00"})
    assert batch["workflow_id"] == f"payment-batch-preview/{batch['id']}"
    process = await viewer.get(batch["status_url"])
    assert (process.status_code, process.json()["workflow_type"]) == (200, "PaymentBatchPreviewWorkflow")
    assert [row["line"] for row in (await viewer.get(f"{url}/rows?outcome=waiting")).json()["items"]] == [2]

    again = await send(loan_officer, f"{number},50.00,,,X", *rows)
    assert (again.status_code, again.json()) == (200, batch)
    too_early = await loan_officer.post(f"{url}/post", json={"expected_total": "50.00"})
    assert (too_early.status_code, too_early.json()["state"]) == (409, "previewing")
    assert too_early.json()["allowed"] == ["previewed"]
    rejects = await viewer.get(f"{url}/rejects")
    assert (rejects.status_code, rejects.json()["state"]) == (409, "previewing")
    assert "previewed" in rejects.json()["allowed"]

    async with uow_of(tenant) as uow:  # what the workflow does
        assert await service.preview_page(uow, UUID(batch["id"])) is False
        await uow.commit()
    done = (await viewer.get(url)).json()
    assert (done["status"], done["control_total"], done["rows_previewed"]) == ("previewed", "50.00", page + 1)
    assert (done["waiting"]["rows"], done["rejected"]["rows"], done["workflow_id"]) == (0, page, None)
    assert len((await viewer.get(f"{url}/rejects")).text.splitlines()) == page + 1
    assert (await loan_officer.post(f"{url}/post", json={"expected_total": "50.00"})).status_code == 202


async def test_a_preview_can_be_cancelled(loan_officer: ApiClient) -> None:
    rows = [f"A-{n},7.00,,,A{n}" for n in range(service.PREVIEW_PAGE + 1)]
    first = (await send(loan_officer, *rows)).json()
    cancelled = await loan_officer.post(f"{URL}/{first['id']}/cancel", json={"reason": "wrong file"})
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (cancelled.json()["waiting"]["rows"], cancelled.json()["control_total"]) == (1, None)
    again = await send(loan_officer, *rows)
    assert (again.status_code, again.json()["status"]) == (202, "previewing")
    assert again.json()["id"] != first["id"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/expected_total"),
        ({"expected_total": "49.99"}, "/expected_total"),
        ({"expected_total": 50}, "/expected_total"),
        ({"expected_total": "5e1"}, "/expected_total"),
        ({"expected_total": "50.00", "rows": 1}, "/rows"),
    ],
)
async def test_posting_needs_the_control_total(
    uow_of: UowOf, tenant: UUID, loan_officer: ApiClient, number: str, body: dict[str, Any], pointer: str
) -> None:
    batch = await upload(loan_officer, f"{number},50.00,,,A")
    response = await loan_officer.post(f"{URL}/{batch['id']}/post", json=body)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, pointer)
    async with uow_of(tenant) as uow:
        assert await uow.all(select(workflow_intents)) == []
    assert (await loan_officer.get(f"{URL}/{batch['id']}")).json()["status"] == "previewed"


async def test_the_wrong_state_is_named(loan_officer: ApiClient, number: str) -> None:
    batch = await upload(loan_officer, f"{number},50.00,,,A")
    url = f"{URL}/{batch['id']}"
    assert (await loan_officer.post(f"{url}/cancel", json={})).json()["errors"][0]["pointer"] == "/reason"
    cancelled = await loan_officer.post(f"{url}/cancel", json={"reason": "wrong file"})
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (cancelled.json()["cancel_reason"], cancelled.json()["left"]["rows"]) == ("wrong file", 1)
    for action, body in (("post", {"expected_total": "50.00"}), ("cancel", {"reason": "again"})):
        response = await loan_officer.post(f"{url}/{action}", json=body)
        assert (response.status_code, response.json()["state"]) == (409, "cancelled")
        assert "previewed" in response.json()["allowed"]


async def test_a_batch_that_is_not_there(loan_officer: ApiClient) -> None:
    url = f"{URL}/{new_id()}"
    answers = [
        await loan_officer.get(url),
        await loan_officer.get(f"{url}/rows"),
        await loan_officer.get(f"{url}/rejects"),
        await loan_officer.post(f"{url}/post", json={"expected_total": "1.00"}),
        await loan_officer.post(f"{url}/cancel", json={"reason": "why"}),
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "not_found")}


async def test_who_may_upload(viewer: ApiClient, borrower: ApiClient, client: ApiClient) -> None:
    assert [(await send(who, "L-0,1.00,,,A")).status_code for who in (viewer, borrower, client)] == [403, 403, 401]
