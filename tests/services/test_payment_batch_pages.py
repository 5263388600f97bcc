"""The preview of a file that is longer than a page: what is previewed stays, and it says what a preview at once would."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from domain.errors import WrongState
from infra.db.models.processes import workflow_intents
from infra.db.models.servicing import loans
from infra.db.models.tenancy import audit_log
from services import payment_batches as batches
from services.replaying import lock_loans
from tests.services.batching import (
    TODAY,
    batch_of,
    file_of,
    id_of,
    outcomes,
    paid,
    past_due,
    post,
    preview_page,
    rows_of,
    upload,
)
from tests.services.lending import UowOf, jump

PAGE = batches.PREVIEW_PAGE
FIRST_PAGE = [f"A-{n},7.00,,,A{n}" for n in range(PAGE)]
"""Rows of loans that are not there, whose numbers come first: an upload previews them and no more."""
OF_THEM = [("rejected", "unknown_loan")] * PAGE


@pytest.fixture
async def numbers(uow_of: UowOf, tenant: UUID) -> list[str]:
    return await past_due(uow_of, tenant)


async def said(uow_of: UowOf, tenant: UUID, batch_id: UUID) -> dict[str, tuple[Any, ...]]:
    """What the preview says of each row, by its external id."""
    wanted = ("loan_id", "amount", "effective_date", "outcome", "unapplied", "code", "reason", "payment_id")
    async with uow_of(tenant) as uow:
        rows = await rows_of(uow, batch_id)
    return {row["external_id"]: tuple(row[name] for name in wanted) for row in rows if row["loan_number"][:2] != "A-"}


async def test_what_the_upload_leaves_is_for_the_workflow(uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
    batch_id = await upload(uow_of, tenant, f"{numbers[0]},5.00,,,X", *FIRST_PAGE, f"{numbers[1]},6.00,,,Y")
    assert await outcomes(uow_of, tenant, batch_id) == [("waiting", None), *OF_THEM, ("waiting", None)]
    async with uow_of(tenant) as uow:
        batch = await batch_of(uow, batch_id)
        assert (batch["status"], batch["control_total"]) == ("previewing", None)
        (intent,) = await uow.all(select(workflow_intents))
        assert (intent["workflow_type"], intent["workflow_id"], intent["payload"]) == (
            "PaymentBatchPreviewWorkflow",
            f"payment-batch-preview/{batch_id}",
            {"tenant_id": str(tenant), "batch_id": str(batch_id)},
        )
        with pytest.raises(WrongState) as too_early:
            await batches.post(uow, batch_id, 11_00)
        assert (too_early.value.state, too_early.value.allowed) == ("previewing", ("previewed",))
        with pytest.raises(WrongState, match="previewing"):
            await batches.rejected(uow, batch_id)

    assert await preview_page(uow_of, tenant, batch_id, 5) is False

    assert await outcomes(uow_of, tenant, batch_id) == [("acceptable", None), *OF_THEM, ("acceptable", None)]
    async with uow_of(tenant) as uow:
        batch = await batch_of(uow, batch_id)
        assert (batch["status"], batch["control_total"]) == ("previewed", 11_00)
        found = await uow.all(select(audit_log).where(audit_log.c.object_id == batch_id).order_by(audit_log.c.id))
        assert [row["action"].partition(".")[2] for row in found] == ["uploaded", "previewed"]
        assert found[1]["after"] == {"status": "previewed", "control_total": "11.00", "acceptable": 2, "rejected": PAGE}
    await post(uow_of, tenant, batch_id)
    assert await paid(uow_of, tenant) == [("X", 5_00), ("Y", 6_00)]


async def test_a_file_of_less_than_a_page_is_previewed_at_once(uow_of: UowOf, tenant: UUID) -> None:
    batch_id = await upload(uow_of, tenant, *FIRST_PAGE[1:])
    async with uow_of(tenant) as uow:
        assert (await batch_of(uow, batch_id))["status"] == "previewed"
        assert await uow.all(select(workflow_intents)) == []


async def test_pages_say_what_a_preview_at_once_says(uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
    """Each row of a loan is seen after those before it in the file, wherever they are in it."""
    one, two, three = numbers
    rows = [
        f"{one},100.00,2020-10-20,,A",
        f"{two},9000.00,,,B",
        f"{one},9925.00,2020-10-09,,C",
        f"{two},2000.00,2020-10-01,,D",
        f"{one},100.00,,,E",
        f"{three},1.00,,,F",
        f"{one},1.00,,,G",
        f"{three},0.00,,,H",
        f"{two},1.00,,,I",
    ]
    at_once = await upload(uow_of, tenant, *rows)
    spread = [row for n, row in enumerate(rows) for row in (*FIRST_PAGE[n * 20 : n * 20 + 20], row)]
    in_pages = await upload(uow_of, tenant, *spread, *FIRST_PAGE[len(rows) * 20 :])
    pages = 1
    while await preview_page(uow_of, tenant, in_pages, 2):
        pages += 1
    assert pages == 4  # four rows of one loan, three of another, two of the third; and none is left
    wanted = await said(uow_of, tenant, at_once)
    assert await said(uow_of, tenant, in_pages) == wanted
    accepted, over, refused = dict.fromkeys("ABCDF", "acceptable"), {"E": "unapplied"}, dict.fromkeys("GHI", "rejected")
    assert {name: values[3] for name, values in wanted.items()} == accepted | over | refused
    async with uow_of(tenant) as uow:
        totals = [(await batch_of(uow, batch_id))["control_total"] for batch_id in (at_once, in_pages)]
    assert totals[0] == totals[1] > 0


async def test_a_page_that_fails_takes_nothing_of_the_others_with_it(
    uow_of: UowOf, tenant: UUID, numbers: list[str]
) -> None:
    rows = [f"{number},5.00,,,X{number}" for number in numbers]
    batch_id = await upload(uow_of, tenant, *FIRST_PAGE, *rows)
    assert await preview_page(uow_of, tenant, batch_id, 1) is True
    before = await outcomes(uow_of, tenant, batch_id)
    async with uow_of(tenant) as uow:
        await batches.preview_page(uow, batch_id, 1)
        await uow.flush()  # and is killed before its commit
    assert await outcomes(uow_of, tenant, batch_id) == before
    assert sorted(outcome for outcome, _ in before[-3:]) == ["acceptable", "waiting", "waiting"]
    async with uow_of(tenant) as uow:
        assert await batches.preview_progress(uow, batch_id) == batches.PreviewProgress(
            "previewing", PAGE + 3, PAGE + 1, PAGE
        )
    assert await preview_page(uow_of, tenant, batch_id, 5) is False
    assert await preview_page(uow_of, tenant, batch_id, 5) is False  # as a step that is tried again may do
    assert await outcomes(uow_of, tenant, batch_id) == [*OF_THEM, *[("acceptable", None)] * 3]
    async with uow_of(tenant) as uow:
        assert await batches.preview_progress(uow, batch_id) == batches.PreviewProgress(
            "previewed", PAGE + 3, PAGE + 3, PAGE
        )
        assert (await batch_of(uow, batch_id))["control_total"] == 15_00


async def test_two_workers_take_turns(uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
    rows = [f"{number},5.00,,,X{number}" for number in numbers]
    batch_id = await upload(uow_of, tenant, *FIRST_PAGE, *rows)
    await asyncio.gather(*(preview_page(uow_of, tenant, batch_id, 1) for _ in range(6)))
    async with uow_of(tenant) as uow:
        assert await batches.preview_progress(uow, batch_id) == batches.PreviewProgress(
            "previewed", PAGE + 3, PAGE + 3, PAGE
        )
        previewed = await uow.all(select(audit_log).where(audit_log.c.action == "payment_batch.previewed"))
    assert len(previewed) == 1


async def test_a_preview_that_is_cancelled_stops(uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
    batch_id = await upload(uow_of, tenant, *FIRST_PAGE, f"{numbers[0]},5.00,,,X")
    async with uow_of(tenant) as uow:
        await batches.cancel(uow, batch_id, "wrong file")
        await uow.commit()
    assert await preview_page(uow_of, tenant, batch_id) is False
    assert await outcomes(uow_of, tenant, batch_id) == [*OF_THEM, ("waiting", None)]
    async with uow_of(tenant) as uow:
        batch, rejected = await batches.rejected(uow, batch_id)
        assert (batch["status"], batch["control_total"], len(rejected)) == ("cancelled", None, PAGE)
        again, created = await batches.upload(uow, file_of(*FIRST_PAGE, f"{numbers[0]},5.00,,,X"))
    assert created
    assert again != batch_id


async def test_a_row_without_a_date_has_that_of_the_upload(uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
    """Though its page comes after the business date has moved."""
    batch_id = await upload(uow_of, tenant, *FIRST_PAGE, f"{numbers[0]},5.00,,,X", f"{numbers[0]},5.00,2020-10-22,,Y")
    await jump(uow_of, tenant, date(2020, 10, 22))
    await preview_page(uow_of, tenant, batch_id, 5)
    async with uow_of(tenant) as uow:
        rows = await rows_of(uow, batch_id)
        assert (await batch_of(uow, batch_id))["business_date"] == TODAY
    assert [(row["outcome"], row["effective_date"]) for row in rows[-2:]] == [
        ("acceptable", TODAY),
        ("acceptable", date(2020, 10, 22)),
    ]


async def test_a_page_and_who_holds_its_loans_never_wait_for_each_other(
    uow_of: UowOf, tenant: UUID, numbers: list[str]
) -> None:
    """Its rows refer to the loans in the order in which others lock them, not in that of the numbers."""
    async with uow_of(tenant) as uow:
        ids = sorted([await id_of(uow, number) for number in numbers])
        for at, loan_id in enumerate(ids):
            await uow.execute(update(loans).where(loans.c.id == loan_id).values(loan_number=f"N-{9 - at}"))
        await uow.commit()
    batch_id = await upload(uow_of, tenant, *FIRST_PAGE, *(f"N-{n},5.00,,,X{n}" for n in (7, 8, 9)))
    async with uow_of(tenant) as uow:
        await lock_loans(uow, ids[:1])
        page = asyncio.create_task(preview_page(uow_of, tenant, batch_id, 4))
        await asyncio.wait([page], timeout=0.5)
        assert not page.done()
        await lock_loans(uow, ids)
        await uow.commit()
    assert await page is False
    assert (await outcomes(uow_of, tenant, batch_id))[-3:] == [("acceptable", None)] * 3
