"""What corrections leave behind: what was known when, and a loan that equals one on which nothing was ever wrong."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from domain.correction import Correction
from domain.errors import InvalidInput
from domain.journal import EntryKind
from domain.loan import state_hash
from domain.program import ExtraMoney
from infra.db.models.servicing import journal_transfers, loan_events, loans, payments
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services.corrections import (
    Corrected,
    backdate,
    equivalence,
    preview_backdate,
)
from services.payments import PaymentRecord, RecordPayment, record
from services.replaying import load_loan, replay_at
from tests.domain.loans import under
from tests.services.lending import (
    UowOf,
    accounts_of,
    active_loan,
    assert_consistent,
    book_loans,
    counts,
    journal_of,
    jump,
    loan_row,
    open_dates,
    pay,
    run_date,
)
from tests.services.reversing import preview_reverse, reverse

DUE = date(2020, 10, 9)
LATE = date(2020, 10, 21)


async def posted_since(uow: UnitOfWork, loan_id: UUID, before: set[UUID]) -> list[tuple[object, ...]]:
    """What was posted besides `before`, as a plan says it."""
    moved = select(journal_transfers).where(journal_transfers.c.loan_id == loan_id)
    lines: dict[UUID, list[tuple[int, int, int]]] = {}
    for row in await uow.all(moved):
        lines.setdefault(row["entry_id"], []).append((row["debit_account"], row["credit_account"], row["amount"]))
    return sorted(
        (row["entry_key"], row["kind"], row["effective_date"], row["posting_date"], sorted(lines[row["id"]]))
        for row in await journal_of(uow, loan_id)
        if row["id"] not in before
    )


def planned(corrected: Corrected) -> list[tuple[object, ...]]:
    return sorted(
        (
            entry.key,
            str(entry.kind),
            entry.effective_date,
            on,
            sorted((int(t.debit), int(t.credit), t.amount) for t in entry.transfers),
        )
        for entry, on in corrected.postings
    )


@pytest.fixture
async def late(uow_of: UowOf, tenant: UUID) -> tuple[UUID, PaymentRecord]:
    """A loan whose first instalment, due on 9 October, was paid on the 21st, with a late fee before it."""
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, LATE - timedelta(days=1))
    await open_dates(uow_of, tenant, LATE)
    return loan_id, await pay(uow_of, tenant, loan_id, 297_47)


class TestHistory:
    async def test_what_was_known_when(self, uow_of: UowOf, tenant: UUID, late: tuple[UUID, PaymentRecord]) -> None:
        """Recorded on 21 October, backdated on the 25th: each day is seen as it was known on each."""
        loan_id, paid = late
        await run_date(uow_of, tenant, date(2020, 10, 22))
        async with uow_of(tenant) as uow:
            await backdate(uow, paid.id, DUE)
            await uow.commit()
        async with uow_of(tenant) as uow:
            asked = [(DUE, None), (DUE, date(2020, 10, 22)), (DUE, LATE), (LATE, LATE), (LATE, date(2020, 10, 20))]
            found = [(await replay_at(uow, loan_id, on, known))[1].state.principal_balance for on, known in asked]
            assert found == [9_739_52, 9_739_52, 10_000_00, 9_769_52, 10_000_00]
            rows = await uow.all(
                select(loan_events).where(loan_events.c.loan_id == loan_id).order_by(loan_events.c.sequence)
            )
            assert [(r["sequence"], r["position"], r["supersedes"]) for r in rows] == [
                (1, 1, None),
                (2, 2, None),
                (3, 3, None),
                (4, 2, 2),
                (5, 3, 3),
            ]
            at_last = rows[-1]["recorded_at"]
            assert (await replay_at(uow, loan_id, DUE, at_last))[1].state.principal_balance == 9_739_52
            before = await replay_at(uow, loan_id, DUE, at_last - timedelta(microseconds=1))
            assert before[1].state.principal_balance == 10_000_00
            with pytest.raises(InvalidInput, match="business date, 2020-10-22"):
                await replay_at(uow, loan_id, date(2020, 10, 23), None)

    async def test_recording_instants_never_go_back(self, uow_of: UowOf, tenant: UUID) -> None:
        """A transaction that began earlier but got the lock later has the later instant."""
        loan_id = await active_loan(uow_of, tenant)
        async with uow_of(tenant) as early:
            await early.business_date()
            await pay(uow_of, tenant, loan_id, 10_00)
            await record(early, RecordPayment(loan_id, 20_00, "ach"))
            rows = await early.all(
                select(loan_events.c.recorded_at).where(loan_events.c.loan_id == loan_id).order_by(loan_events.c.sequence)
            )
            instants = [row["recorded_at"] for row in rows]
            assert instants == sorted(instants)
            assert instants[-1] > early.recorded_at
            posted = [row["posted_at"] for row in await journal_of(early, loan_id)]
            assert posted == sorted(posted)

    async def test_the_database_lets_an_event_be_superseded_once(
        self, uow_of: UowOf, tenant: UUID, late: tuple[UUID, PaymentRecord]
    ) -> None:
        loan_id, paid = late
        async with uow_of(tenant) as uow:
            await backdate(uow, paid.id, DUE)
            (row,) = await uow.all(select(loan_events).where(loan_events.c.loan_id == loan_id, loan_events.c.sequence == 4))
            again = {**row, "id": new_id(), "sequence": 6}
            with pytest.raises(IntegrityError, match="supersedes"):
                async with uow.savepoint():
                    await uow.execute(insert(loan_events), again)
            with pytest.raises(IntegrityError, match="supersedes"):
                await uow.execute(insert(loan_events), {**again, "supersedes": 9})

    @pytest.mark.parametrize("seed", range(4))
    async def test_any_corrections_leave_the_loan_a_fresh_one_would_be(self, uow_of: UowOf, tenant: UUID, seed: int) -> None:
        """Payments, backdatings and reversals between closes; every preview is what is then done; a second loan that is
        given only the surviving payments, in order, is the same field by field, and so are its books."""
        chance = random.Random(seed)
        terms = under(extra_money=chance.choice(list(ExtraMoney)))
        loan_id, other = [await active_loan(uow_of, tenant, terms) for _ in range(2)]
        today = date(2020, 9, 9)
        for _ in range(14):
            today += timedelta(days=chance.choice([0, 1, 3, 9, 20]))
            async with uow_of(tenant) as uow:
                known = await uow.business_date()
            if today > known:
                await open_dates(uow_of, tenant, today - timedelta(days=1))
                await run_date(uow_of, tenant, today)
            async with uow_of(tenant) as uow:
                await _something(uow, chance, loan_id, today)
                await assert_consistent(uow, loan_id)
                await uow.commit()
        async with uow_of(tenant) as uow:
            standing = await uow.all(
                select(payments)
                .where(payments.c.loan_id == loan_id, payments.c.status == "completed")
                .order_by(payments.c.id)
            )
            for row in sorted(standing, key=lambda row: row["effective_date"]):
                await record(uow, RecordPayment(other, row["amount"], "ach", effective_date=row["effective_date"]))
            hashes = {state_hash((await load_loan(uow, of)).replay(today).state) for of in (loan_id, other)}
            assert len(hashes) == 1
            assert +await accounts_of(uow, loan_id) == +await accounts_of(uow, other)
            same = await equivalence(uow, loan_id)
            assert (same.equal, same.cached) == (True, hashes.pop())


async def _something(uow: UnitOfWork, chance: random.Random, loan_id: UUID, today: date) -> None:
    """A payment, or the correction of one, with its preview before it."""
    rows = await uow.all(select(payments).where(payments.c.loan_id == loan_id, payments.c.status == "completed"))
    earliest = date(2020, 9, 9)
    on = max(earliest, today - timedelta(days=chance.choice([0, 0, 1, 11, 40])))
    choice = chance.choice(["pay", "pay", "backdate", "reverse"]) if rows else "pay"
    chosen = chance.choice(rows) if rows else None
    if choice == "pay" or chosen is None or (choice == "backdate" and chosen["effective_date"] == on):
        if (await loan_row(uow, loan_id))["status"] == "active":
            amount = chance.choice([1, 30_00, 297_47, 297_47, 327_47, 1_000_00])
            await record(uow, RecordPayment(loan_id, amount, "ach", effective_date=on))
        return
    before, rows_before = {row["id"] for row in await journal_of(uow, loan_id)}, await counts(uow)
    if choice == "backdate":
        promised = await preview_backdate(uow, chosen["id"], on)
        assert await counts(uow) == rows_before
        done = await backdate(uow, chosen["id"], on)
    else:
        promised = await preview_reverse(uow, chosen["id"])
        assert await counts(uow) == rows_before
        done = await reverse(uow, chosen["id"], "nsf")
    assert promised == done
    assert await posted_since(uow, loan_id, before) == planned(promised)
    _assert_complete(promised.correction)
    row = await loan_row(uow, loan_id)
    assert row["state_hash"] == state_hash(promised.correction.after)


def _assert_complete(change: Correction) -> None:
    """At most one mirror and one replacement a key, and one accrual entry a month."""
    seen = Counter((entry.key, entry.kind is EntryKind.MIRROR) for entry in change.entries)
    assert not seen or max(seen.values()) == 1


async def test_a_loan_without_events_is_equal_to_itself(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        (loan_id,) = await book_loans(uow)
        found = await equivalence(uow, loan_id)
        assert (found.cached, found.equal) == (None, True)


async def test_a_cache_that_is_wrong_is_not_equal(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    async with uow_of(tenant) as uow:
        await uow.execute(update(loans).where(loans.c.id == loan_id).values(state_hash="0" * 64))
        found = await equivalence(uow, loan_id)
        assert (found.replayed == found.fresh, found.equal) == (True, False)
