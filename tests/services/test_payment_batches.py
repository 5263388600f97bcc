"""A file of payments: the preview is what is posted, each row once, whatever is repeated, refused or interrupted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError

from domain.errors import InvalidInput, NotFound, WrongState
from infra.db.models.payment_batches import payment_batch_rows, payment_batches
from infra.db.models.processes import workflow_intents
from infra.db.models.servicing import loans, payments
from infra.db.models.tenancy import audit_log
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services import ledger
from services import payment_batches as batches
from services.close_of_business import open_date
from services.payments import RecordPayment, record
from tests.services.lending import (
    UowOf,
    assert_consistent,
    book_loans,
    counts,
    disburse,
    jump,
    loan_row,
    pay,
)

TODAY = date(2020, 10, 21)
HEADER = "loan_number,amount,date,method,external_id"


def file_of(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows]).encode()


async def upload(uow_of: UowOf, tenant: UUID, *rows: str) -> UUID:
    async with uow_of(tenant) as uow:
        batch_id, _ = await batches.upload(uow, file_of(*rows))
        await uow.commit()
    return batch_id


async def begin(uow_of: UowOf, tenant: UUID, batch_id: UUID) -> None:
    async with uow_of(tenant) as uow:
        await batches.post(uow, batch_id, (await batch_of(uow, batch_id))["control_total"])
        await uow.commit()


async def post(uow_of: UowOf, tenant: UUID, batch_id: UUID, *, page: int = 2) -> None:
    """Post all of a batch in pages."""
    await begin(uow_of, tenant, batch_id)
    while await post_page(uow_of, tenant, batch_id, page):
        pass


async def post_page(uow_of: UowOf, tenant: UUID, batch_id: UUID, page: int = 2) -> bool:
    async with uow_of(tenant) as uow:
        more = await batches.post_page(uow, batch_id, page)
        await uow.commit()
    return more


async def batch_of(uow: UnitOfWork, batch_id: UUID) -> RowMapping:
    return await uow.one(select(payment_batches).where(payment_batches.c.id == batch_id), "batch")


async def rows_of(uow: UnitOfWork, batch_id: UUID) -> Sequence[RowMapping]:
    table = payment_batch_rows
    return await uow.all(select(table).where(table.c.batch_id == batch_id).order_by(table.c.line))


async def outcomes(uow_of: UowOf, tenant: UUID, batch_id: UUID) -> list[tuple[str, str | None]]:
    async with uow_of(tenant) as uow:
        return [(row["outcome"], row["code"]) for row in await rows_of(uow, batch_id)]


async def paid(uow_of: UowOf, tenant: UUID) -> list[tuple[str, int]]:
    """The payments of a tenant: external id and amount."""
    async with uow_of(tenant) as uow:
        found = await uow.all(select(payments).order_by(payments.c.external_id))
    return [(row["external_id"], row["amount"]) for row in found]


@pytest.fixture
async def numbers(uow_of: UowOf, tenant: UUID) -> list[str]:
    """The numbers of three active loans, each past due with a late fee; the business date is TODAY."""
    async with uow_of(tenant) as uow:
        ids = await book_loans(uow, 3)
        for loan_id in ids:
            await disburse(uow, loan_id)
        await uow.commit()
    await jump(uow_of, tenant, TODAY)
    async with uow_of(tenant) as uow:
        return [(await loan_row(uow, loan_id))["loan_number"] for loan_id in ids]


async def id_of(uow: UnitOfWork, number: str) -> UUID:
    loan_id: UUID = (await uow.one(select(loans.c.id).where(loans.c.loan_number == number), "loan"))["id"]
    return loan_id


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
        assert changed == {"payment_batches": 1, "payment_batch_rows": 2, "audit_log": 1}

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
            assert [row["action"].partition(".")[2] for row in found] == ["uploaded", "posting", "posted"]
            assert found[2]["before"] == {"status": "posting"}
            assert found[2]["after"] == {"status": "posted", "posted": 1, "rejected": 1}
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
            assert (refusal.value.state, refusal.value.allowed) == (state, ("previewed", "posting"))
            with pytest.raises(WrongState):
                await batches.post(uow, batch_id, 5_00)


async def test_a_batch_that_is_not_there(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        for call in (
            batches.post(uow, new_id(), 0),
            batches.cancel(uow, new_id(), "why"),
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
