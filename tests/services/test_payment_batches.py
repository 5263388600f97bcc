"""Posting a file of payments: each row once, whatever is refused, repeated, cancelled or interrupted."""

from __future__ import annotations

import asyncio
import time
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from domain.errors import InvalidInput, NotFound, WrongState
from infra.db.models.processes import workflow_intents
from infra.db.models.servicing import loans, payments
from infra.db.models.tenancy import audit_log
from infra.ids import new_id
from services import ledger
from services import payment_batches as batches
from services.close_of_business import open_date
from tests.services.batching import (
    TODAY,
    begin,
    file_of,
    id_of,
    outcomes,
    paid,
    past_due,
    post,
    post_page,
    preview_page,
    rows_of,
    upload,
)
from tests.services.lending import UowOf, assert_consistent, book_loans, disburse, pay


@pytest.fixture
async def numbers(uow_of: UowOf, tenant: UUID) -> list[str]:
    return await past_due(uow_of, tenant)


class TestPosting:
    async def test_it_is_started_once_with_the_total(self, uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
        batch_id = await upload(uow_of, tenant, f"{numbers[0]},5.00,,,A")
        async with uow_of(tenant) as uow:
            with pytest.raises(InvalidInput, match=r"5\.00") as wrong:
                await batches.post(uow, batch_id, 5_01)
            assert wrong.value.errors[0].pointer == "/expected_total"
        await begin(uow_of, tenant, batch_id)
        async with uow_of(tenant) as uow:
            with pytest.raises(WrongState) as refusal:
                await batches.post(uow, batch_id, 5_00)
            assert (refusal.value.state, refusal.value.allowed) == ("posting", ("previewed",))
            (intent,) = await uow.all(select(workflow_intents))
            assert intent["workflow_id"] == f"payment-batch/{batch_id}"
            assert intent["payload"] == {"tenant_id": str(tenant), "batch_id": str(batch_id)}

    async def test_nothing_to_post(self, uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
        batch_id = await upload(uow_of, tenant, "L-0,5.00,,,A")
        async with uow_of(tenant) as uow:
            with pytest.raises(WrongState, match="No row"):
                await batches.post(uow, batch_id, 0)

    async def test_what_is_refused_by_then_is_rejected_and_the_others_are_posted(
        self, uow_of: UowOf, tenant: UUID, numbers: list[str]
    ) -> None:
        one, two, three = numbers
        batch_id = await upload(uow_of, tenant, f"{one},5.00,,,A", f"{two},6.00,,,B", f"{three},7.00,,,C")
        async with uow_of(tenant) as uow:
            second = await id_of(uow, two)
        await pay(uow_of, tenant, second, 20_000_00)
        await post(uow_of, tenant, batch_id, page=50)
        assert await outcomes(uow_of, tenant, batch_id) == [
            ("posted", None),
            ("rejected", "loan_paid_off"),
            ("posted", None),
        ]
        assert ("B", 6_00) not in await paid(uow_of, tenant)
        async with uow_of(tenant) as uow:
            assert "2020-10-21" in (await rows_of(uow, batch_id))[1]["reason"]
            for number in numbers:
                await assert_consistent(uow, await id_of(uow, number))

    async def test_a_row_keeps_the_date_it_was_previewed_with(self, uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
        batch_id = await upload(uow_of, tenant, f"{numbers[0]},5.00,,,A")
        async with uow_of(tenant) as uow:
            await open_date(uow, date(2020, 10, 22))
            await uow.commit()
        await post(uow_of, tenant, batch_id)
        async with uow_of(tenant) as uow:
            row = await uow.one(select(payments), "payment")
            assert (row["effective_date"], row["recorded_business_date"]) == (TODAY, date(2020, 10, 22))

    async def test_a_page_that_fails_in_the_middle_leaves_nothing_and_is_posted_again(
        self, uow_of: UowOf, tenant: UUID, numbers: list[str]
    ) -> None:
        batch_id = await upload(uow_of, tenant, *(f"{number},5.00,,,{number}" for number in numbers))
        await begin(uow_of, tenant, batch_id)
        assert await post_page(uow_of, tenant, batch_id, 1) is True
        with pytest.raises(RuntimeError, match="power"):
            async with uow_of(tenant) as uow:
                await batches.post_page(uow, batch_id, 2)
                raise RuntimeError("no power")
        assert len(await paid(uow_of, tenant)) == 1
        while await post_page(uow_of, tenant, batch_id, 2):
            pass
        assert await post_page(uow_of, tenant, batch_id, 2) is False
        assert len(await paid(uow_of, tenant)) == 3
        assert {outcome for outcome, _ in await outcomes(uow_of, tenant, batch_id)} == {"posted"}

    async def test_two_workers_at_once_post_each_row_once(self, uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
        """One that was given up for dead, and the one that took over."""
        rows = [f"{numbers[n % 3]},{n + 1}.00,,,X{n}" for n in range(9)]
        batch_id = await upload(uow_of, tenant, *rows)
        await begin(uow_of, tenant, batch_id)

        async def work() -> None:
            while await post_page(uow_of, tenant, batch_id, 2):
                pass

        await asyncio.gather(work(), work(), work())
        assert await paid(uow_of, tenant) == [(f"X{n}", (n + 1) * 1_00) for n in range(9)]

    async def test_it_and_other_payments_do_not_wait_for_each_other_for_ever(
        self, uow_of: UowOf, tenant: UUID, numbers: list[str]
    ) -> None:
        ids = [
            await upload(uow_of, tenant, *(f"{number},{n}.00,,,X{n}-{number}" for number in order))
            for n, order in enumerate((numbers, numbers[::-1], numbers), 1)
        ]
        await asyncio.wait_for(asyncio.gather(*(post(uow_of, tenant, batch_id, page=3) for batch_id in ids)), timeout=30)
        assert len(await paid(uow_of, tenant)) == 9

    async def test_it_is_audited_as_a_batch_and_payment_by_payment(
        self, uow_of: UowOf, tenant: UUID, numbers: list[str]
    ) -> None:
        batch_id = await upload(uow_of, tenant, f"{numbers[0]},5.00,,,A", "L-0,5.00,,,B")
        await post(uow_of, tenant, batch_id)
        async with uow_of(tenant) as uow:
            found = await uow.all(select(audit_log).where(audit_log.c.object_id == batch_id).order_by(audit_log.c.id))
            assert [row["action"].partition(".")[2] for row in found] == ["uploaded", "previewed", "posting", "posted"]
            assert found[3]["before"] == {"status": "posting"}
            assert found[3]["after"] == {"status": "posted", "posted": 1, "rejected": 1}
            row = (await rows_of(uow, batch_id))[0]
            entry = await uow.one(select(audit_log).where(audit_log.c.object_id == row["payment_id"]), "audit entry")
            assert entry["action"] == "payment.recorded"


class TestCancelling:
    async def test_what_is_posted_stays_and_the_rest_is_not(self, uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
        batch_id = await upload(uow_of, tenant, *(f"{number},5.00,,,{number}" for number in numbers))
        await begin(uow_of, tenant, batch_id)
        await post_page(uow_of, tenant, batch_id, 2)
        async with uow_of(tenant) as uow:
            await batches.cancel(uow, batch_id, "the bank recalled it")
            await uow.commit()
        assert await post_page(uow_of, tenant, batch_id, 2) is False
        async with uow_of(tenant) as uow:
            assert await batches.progress(uow, batch_id) == batches.Progress("cancelled", 2, 0, 0, 1)
            entry = await uow.one(select(audit_log).where(audit_log.c.action == "payment_batch.cancelled"), "audit entry")
            assert (entry["reason"], entry["before"]) == ("the bank recalled it", {"status": "posting"})
        assert len(await paid(uow_of, tenant)) == 2

    async def test_it_waits_for_the_page_that_is_being_posted(self, uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
        batch_id = await upload(uow_of, tenant, *(f"{number},5.00,,,{number}" for number in numbers))
        await begin(uow_of, tenant, batch_id)

        async def cancel() -> None:
            async with uow_of(tenant) as uow:
                await batches.cancel(uow, batch_id, "stop")
                await uow.commit()

        async with uow_of(tenant) as uow:
            await batches.post_page(uow, batch_id, 1)
            cancelling = asyncio.create_task(cancel())
            await asyncio.wait([cancelling], timeout=0.3)
            assert not cancelling.done()
            await uow.commit()
        await cancelling
        assert [outcome for outcome, _ in await outcomes(uow_of, tenant, batch_id)] == ["posted"] + ["acceptable"] * 2

    @pytest.mark.parametrize("state", ["posted", "cancelled"])
    async def test_what_is_over_is_not_cancelled(self, uow_of: UowOf, tenant: UUID, numbers: list[str], state: str) -> None:
        batch_id = await upload(uow_of, tenant, f"{numbers[0]},5.00,,,A")
        async with uow_of(tenant) as uow:
            if state == "posted":
                await batches.post(uow, batch_id, 5_00)
                await batches.post_page(uow, batch_id)
            else:
                await batches.cancel(uow, batch_id, "once")
            with pytest.raises(WrongState) as refusal:
                await batches.cancel(uow, batch_id, "twice")
            assert (refusal.value.state, refusal.value.allowed) == (state, ("previewing", "previewed", "posting"))
            with pytest.raises(WrongState):
                await batches.post(uow, batch_id, 5_00)


async def test_one_connection_takes_many_files(uow_of: UowOf, tenant: UUID) -> None:
    """Also when PostgreSQL has planned the statements once and for all."""
    async with uow_of(tenant) as uow:
        new = [await batches.upload(uow, file_of(f"L-0,1.00,,,X-{n}")) for n in range(15)]
    assert [created for _, created in new] == [True] * 15


async def test_a_large_file_keeps_nobody_waiting(uow_of: UowOf, tenant: UUID) -> None:
    """Ten megabytes of nothing take seconds to read."""
    gaps = [0.0]

    async def others() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - began)

    beside = asyncio.create_task(others())
    async with uow_of(tenant) as uow:
        with pytest.raises(InvalidInput, match="no rows"):
            await batches.upload(uow, file_of("\n" * 9_900_000))
    beside.cancel()
    assert max(gaps) < 1


async def test_a_batch_that_is_not_there(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        for call in (
            batches.post(uow, new_id(), 0),
            batches.cancel(uow, new_id(), "why"),
            batches.preview_page(uow, new_id()),
            batches.preview_progress(uow, new_id()),
            batches.rejected(uow, new_id()),
            batches.post_page(uow, new_id()),
            batches.progress(uow, new_id()),
        ):
            with pytest.raises(NotFound, match="payment batch"):
                await call


async def test_the_database_holds_no_row_that_contradicts_itself(uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
    await upload(uow_of, tenant, f"{numbers[0]},5.00,,,A")
    for change in ("outcome = 'posted'", "outcome = 'rejected'", "amount = NULL", "reason = 'x'"):
        async with uow_of(tenant) as uow:
            with pytest.raises(IntegrityError):
                await uow.execute(text(f"UPDATE payment_batch_rows SET {change}"))


async def test_two_thousand_rows_are_previewed_and_posted_in_time(uow_of: UowOf, tenant: UUID) -> None:
    """500 loans, four payments each: a page of 50 rows in seconds, whatever else this machine does."""
    async with uow_of(tenant) as uow:
        ids = await book_loans(uow, 500)
        for loan_id in ids:
            await disburse(uow, loan_id)
        found = await uow.all(select(loans.c.loan_number))
        await uow.commit()
    rows = [f"{found[n % 500]['loan_number']},10.00,,,X{n}" for n in range(2_000)]
    started = time.monotonic()
    batch_id = await upload(uow_of, tenant, *rows)
    while await preview_page(uow_of, tenant, batch_id, batches.PREVIEW_PAGE):
        pass
    assert time.monotonic() - started < 20
    started = time.monotonic()
    await post(uow_of, tenant, batch_id, page=batches.PAGE)
    seconds = time.monotonic() - started
    print(f"2,000 rows posted in {seconds:.1f} s")
    assert seconds < 150
    async with uow_of(tenant) as uow:
        assert (await batches.progress(uow, batch_id)).posted == 2_000
        assert sum(line.net for line in await ledger.trial_balance(uow, date(2020, 9, 9))) == 0
        assert ledger.reconciled(await ledger.reconcile(uow))
        await assert_consistent(uow, ids[0])
