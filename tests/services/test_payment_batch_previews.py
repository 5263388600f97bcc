"""A file of payments before it is posted: the preview is what is posted, and a row that comes again is the same payment."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from domain.errors import NotFound
from infra.db.models.payment_batches import payment_batch_rows
from infra.db.models.servicing import payments
from services import ledger
from services import payment_batches as batches
from services.payments import RecordPayment, record
from tests.services.batching import (
    TODAY,
    batch_of,
    begin,
    file_of,
    id_of,
    outcomes,
    paid,
    past_due,
    post,
    post_page,
    rows_of,
    upload,
)
from tests.services.lending import UowOf, assert_consistent, counts, jump


@pytest.fixture
async def numbers(uow_of: UowOf, tenant: UUID) -> list[str]:
    return await past_due(uow_of, tenant)


class TestPreview:
    async def test_each_row_is_told_what_would_become_of_it(self, uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
        one, two, three = numbers
        async with uow_of(tenant) as uow:
            await record(uow, RecordPayment(await id_of(uow, two), 50_00, "check", date(2020, 10, 20), external_id="known"))
            await uow.commit()
        batch_id = await upload(
            uow_of,
            tenant,
            f"{one},297.47,2020-10-09,ach,A",
            f"{one},20000.00,,,B",  # pays the loan off, and more
            f"{one},1.00,,,C",  # which then takes no more
            f"{two},50.00,2020-10-20,,known",
            f"{two},50.01,2020-10-20,,known2",
            f"{three},5.00,2020-10-22,,D",
            f"{three},5.00,2020-09-08,,E",
            f"{three},0.00,,,F",
            f"{three},-5.00,,,G",
            "L-0,5.00,,,H",
            f"{three},five,,,I",
            f"{three},5.00,,,A",
        )
        assert await outcomes(uow_of, tenant, batch_id) == [
            ("acceptable", None),
            ("unapplied", None),
            ("rejected", "loan_paid_off"),
            ("already_there", None),
            ("acceptable", None),
            ("rejected", "date_in_future"),
            ("rejected", "date_before_loan"),
            ("rejected", "invalid_amount"),
            ("rejected", "invalid_amount"),
            ("rejected", "unknown_loan"),
            ("rejected", "invalid_amount"),
            ("rejected", "duplicate_external_id"),
        ]
        async with uow_of(tenant) as uow:
            batch, rows = await batch_of(uow, batch_id), await rows_of(uow, batch_id)
            assert (batch["status"], batch["rows"]) == ("previewed", 12)
            assert batch["control_total"] == 297_47 + 20_000_00 + 50_01
            assert rows[5]["reason"] == f"date: must not be after the business date, {TODAY} in America/New_York"
            assert rows[9]["reason"] == "loan_number: there is no such loan"
            assert rows[1]["effective_date"] == TODAY
        assert await paid(uow_of, tenant) == [("known", 50_00)]

    async def test_an_external_id_of_another_payment_is_refused(
        self, uow_of: UowOf, tenant: UUID, numbers: list[str]
    ) -> None:
        async with uow_of(tenant) as uow:
            await record(uow, RecordPayment(await id_of(uow, numbers[0]), 50_00, "check", TODAY, external_id="known"))
            await uow.commit()
        batch_id = await upload(uow_of, tenant, f"{numbers[0]},51.00,,,known")
        assert await outcomes(uow_of, tenant, batch_id) == [("rejected", "external_id_taken")]

    async def test_the_preview_is_what_is_posted(self, uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
        """Also of rows that belong to one loan, whatever their dates, and which leave something over."""
        one, two, three = numbers
        batch_id = await upload(
            uow_of,
            tenant,
            f"{one},100.00,2020-10-20,,A",
            f"{two},9000.00,,,B",
            f"{one},9925.00,2020-10-09,,C",  # not yet the payoff of a loan with a late fee: see A
            f"{two},2000.00,2020-10-01,,D",
            f"{one},100.00,,,E",
            f"{one},1.00,,,F",
            f"{three},1.00,,,G",
        )
        async with uow_of(tenant) as uow:
            seen = {row["external_id"]: row for row in await rows_of(uow, batch_id)}
        await post(uow_of, tenant, batch_id)
        async with uow_of(tenant) as uow:
            done = {row["external_id"]: row for row in await rows_of(uow, batch_id)}
            made = {row["external_id"]: row for row in await uow.all(select(payments))}
        assert {row["outcome"] for row in seen.values()} == {"acceptable", "unapplied", "rejected"}
        for name, row in seen.items():
            if row["outcome"] == "rejected":
                assert (done[name]["outcome"], done[name]["code"]) == ("rejected", row["code"])
                assert name not in made
            else:
                assert (done[name]["outcome"], done[name]["payment_id"]) == ("posted", made[name]["id"])
                assert (made[name]["amount"], made[name]["effective_date"]) == (row["amount"], row["effective_date"])
        async with uow_of(tenant) as uow:
            batch = await batch_of(uow, batch_id)
            assert batch["status"] == "posted"
            assert batch["control_total"] == sum(row["amount"] for row in made.values())
            for number in numbers:
                await assert_consistent(uow, await id_of(uow, number))
            assert sum(line.net for line in await ledger.trial_balance(uow, TODAY)) == 0

    async def test_nothing_is_posted_by_it(self, uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
        async with uow_of(tenant) as uow:
            before = await counts(uow)
            await batches.upload(uow, file_of(f"{numbers[0]},5.00,,,A", "L-0,5.00,,,B"))
            after = await counts(uow)
        changed = {name: after[name] - before[name] for name in after if after[name] != before[name]}
        assert changed == {"payment_batches": 1, "payment_batch_rows": 2, "audit_log": 2}

    async def test_a_loan_of_another_lender_is_not_there(
        self, uow_of: UowOf, tenant: UUID, numbers: list[str], make_tenant: Any
    ) -> None:
        other = await make_tenant(TODAY)
        batch_id = await upload(uow_of, other, f"{numbers[0]},5.00,,,A")
        assert await outcomes(uow_of, other, batch_id) == [("rejected", "unknown_loan")]
        assert await upload(uow_of, tenant, f"{numbers[0]},5.00,,,A") != batch_id
        async with uow_of(tenant) as uow:
            with pytest.raises(NotFound):
                await batches.post(uow, batch_id, 0)


class TestTwiceIsOnce:
    async def test_the_same_file_is_the_same_batch(self, uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
        row = f"{numbers[0]},5.00,,,A"
        first = await upload(uow_of, tenant, row)
        assert await upload(uow_of, tenant, row) == first
        await post(uow_of, tenant, first)
        assert await upload(uow_of, tenant, row) == first
        assert await paid(uow_of, tenant) == [("A", 5_00)]

    async def test_the_same_file_twice_at_once(self, uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
        found = await asyncio.gather(*(upload(uow_of, tenant, f"{numbers[0]},5.00,,,A") for _ in range(4)))
        assert len(set(found)) == 1
        async with uow_of(tenant) as uow:
            assert (await uow.execute(select(func.count()).select_from(payment_batch_rows))).scalar_one() == 1

    async def test_a_cancelled_file_can_be_sent_again(self, uow_of: UowOf, tenant: UUID, numbers: list[str]) -> None:
        row = f"{numbers[0]},5.00,,,A"
        first = await upload(uow_of, tenant, row)
        async with uow_of(tenant) as uow:
            await batches.cancel(uow, first, "wrong day")
            await uow.commit()
        again = await upload(uow_of, tenant, row)
        assert again != first
        await post(uow_of, tenant, again)
        assert await paid(uow_of, tenant) == [("A", 5_00)]

    async def test_a_row_in_two_files_is_paid_once_also_on_another_day(
        self, uow_of: UowOf, tenant: UUID, numbers: list[str]
    ) -> None:
        """A row without a date is the same payment tomorrow."""
        row = f"{numbers[0]},5.00,,,A"
        await post(uow_of, tenant, await upload(uow_of, tenant, row))
        await jump(uow_of, tenant, date(2020, 10, 22))
        second = await upload(uow_of, tenant, row, f"{numbers[0]},6.00,,,B")
        assert await outcomes(uow_of, tenant, second) == [("already_there", None), ("acceptable", None)]
        await post(uow_of, tenant, second)
        assert await paid(uow_of, tenant) == [("A", 5_00), ("B", 6_00)]

    async def test_two_files_with_the_same_row_that_are_posted_at_once(
        self, uow_of: UowOf, tenant: UUID, numbers: list[str]
    ) -> None:
        both = [f"{number},5.00,,,{number}" for number in numbers]
        ids = [await upload(uow_of, tenant, *rows) for rows in (both, both[::-1])]
        await asyncio.gather(*(post(uow_of, tenant, batch_id) for batch_id in ids))
        assert sorted(await paid(uow_of, tenant)) == sorted((number, 5_00) for number in numbers)
        found = [outcome for batch_id in ids for outcome, _ in await outcomes(uow_of, tenant, batch_id)]
        assert sorted(found) == ["already_there"] * 3 + ["posted"] * 3

    async def test_an_external_id_that_another_loan_takes_at_the_same_moment(
        self, uow_of: UowOf, tenant: UUID, numbers: list[str]
    ) -> None:
        """The page fails as a whole; when its step is tried again, as it always is, that row is rejected."""
        batch_id = await upload(uow_of, tenant, f"{numbers[0]},5.00,,,A", f"{numbers[1]},6.00,,,B")
        await begin(uow_of, tenant, batch_id)
        async with uow_of(tenant) as other:
            await record(other, RecordPayment(await id_of(other, numbers[2]), 9_00, "cash", external_id="A"))
            await other.flush()
            posting = asyncio.create_task(post_page(uow_of, tenant, batch_id, 5))
            await asyncio.wait([posting], timeout=0.3)
            assert not posting.done()
            await other.commit()
        with pytest.raises(IntegrityError):
            await posting
        assert await post_page(uow_of, tenant, batch_id, 5) is False
        assert await outcomes(uow_of, tenant, batch_id) == [("rejected", "external_id_taken"), ("posted", None)]
        assert await paid(uow_of, tenant) == [("A", 9_00), ("B", 6_00)]
