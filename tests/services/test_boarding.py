"""Boarding a tape into a real database: rejects, repeats, interruptions, two runs at once; and the command."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Awaitable, Callable, Iterable
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from cli.errors import CliError
from cli.main import app
from domain.boarding import mapping_from_dict
from domain.chart import Account
from domain.errors import InvalidInput, WrongState
from domain.program_form import program_to_dict
from infra.db.models.servicing import borrowers, instalments, journal_entries, loan_events, loan_fees, loans, programs
from infra.db.models.tenancy import audit_log, tenants
from infra.db.models.webhooks import webhook_events
from infra.db.uow import UnitOfWork
from infra.settings import Settings
from services import ledger
from services import programs as program_service
from services.boarding import BoardingReport, board
from services.replaying import lock_loans
from tests.domain.test_boarding import AS_OF, MAPPING, MAPPING_YAML, ROW

UowOf = Callable[[UUID], UnitOfWork]
MakeTenant = Callable[..., Awaitable[UUID]]

HEADER = ",".join(ROW)


def line(**cells: str) -> str:
    return ",".join({**ROW, **cells}.values())


def tape(*lines: str) -> list[str]:
    return [f"{text}\n" for text in (HEADER, *lines)]


def good(count: int, start: int = 1) -> list[str]:
    return [line(number=f"CL-{n:05d}") for n in range(start, start + count)]


@pytest.fixture
async def lender(make_tenant: MakeTenant) -> UUID:
    """A tenant whose business date is the tape's as-of date."""
    return await make_tenant(business_date=AS_OF)


async def run(uow_of: UowOf, tenant: UUID, lines: Iterable[str], **options: object) -> BoardingReport:
    return await board(lambda: uow_of(tenant), lines, MAPPING, **options)  # type: ignore[arg-type]


async def count(uow_of: UowOf, tenant: UUID, table: object = loans) -> int:
    async with uow_of(tenant) as uow:
        return int((await uow.execute(select(func.count()).select_from(table))).scalar_one())  # type: ignore[arg-type]


async def test_a_loan_that_lands_is_told_of_once(uow_of: UowOf, lender: UUID) -> None:
    """300 of them, so that they are written at once; one of them was past due before."""
    lines = tape(*good(300), line(number="A-5", state="Late"))
    for _ in range(2):
        await run(uow_of, lender, lines)
    async with uow_of(lender) as uow:
        found = await uow.all(select(webhook_events.c.type, webhook_events.c.loan_event_number))
        assert {tuple(row.values()) for row in found} == {("loan.boarded", 1)}
        assert (len(found), await count(uow_of, lender)) == (301, 301)


async def test_good_rows_land_and_bad_ones_are_named(uow_of: UowOf, lender: UUID) -> None:
    lines = tape(
        line(number="A-1"),
        line(number="A-2", state="Sleeping"),
        line(number="A-3", owed="-5.00"),
        line(number="A-4", rate="much", term="x"),
        line(number="A-1"),
        line(number="A-5", state="Late"),
        line(number="A-6") + ",one too many",
        '"not closed',
    )
    report = await run(uow_of, lender, lines)
    assert (report.rows, report.boarded, report.rejected_rows) == (8, 2, 6)
    assert [(item.row, item.column, item.value) for item in report.rejected][:5] == [
        (3, "state", "Sleeping"),
        (4, "owed", "-5.00"),
        (5, "rate", "much"),
        (5, "term", "x"),
        (6, "number", "A-1"),
    ]
    assert "line 2" in next(item.reason for item in report.rejected if item.row == 6)
    async with uow_of(lender) as uow:
        rows = await uow.all(select(loans.c.loan_number, loans.c.delinquency_bucket).order_by(loans.c.loan_number))
    assert [tuple(row.values()) for row in rows] == [("A-1", "current"), ("A-5", "dpd_60_89")]


async def test_a_boarded_loan_has_all_that_belongs_to_it(uow_of: UowOf, lender: UUID) -> None:
    await run(uow_of, lender, tape(line(number="A-1"), line(number="A-2", state="Lost", owed="0", paid="1000")))
    async with uow_of(lender) as uow:
        row = await uow.one(select(loans).where(loans.c.loan_number == "A-1"), "loan")
        owner = await uow.one(select(borrowers).where(borrowers.c.id == row["borrower_id"]), "borrower")
        nets = {b.account: b.net for b in await ledger.trial_balance(uow, AS_OF) if b.net}
        audited = await uow.all(select(audit_log.c.after).where(audit_log.c.action == "loan.boarded"))
    assert (owner["first_name"], owner["last_name"], owner["external_id"]) == ("Borrower", "A-1", "A-1")
    assert (row["source"], row["last_sequence"], row["processed_through"]) == ("tape", 1, AS_OF)
    assert (row["principal_balance"], row["level_payment"], row["next_due_date"]) == (870_448, 30_115, date(2018, 7, 1))
    assert nets == {
        Account.PRINCIPAL: 870_448,
        Account.ACCRUED_INTEREST: row["accrued_interest"],
        Account.BOARDING_CLEARING: -870_448 - row["accrued_interest"],
        Account.MEMO_CHARGED_OFF: 900_000,
        Account.MEMO_CONTRA: -900_000,
    }
    assert {entry["after"]["loan_number"] for entry in audited} == {"A-1", "A-2"}


async def test_a_second_run_adds_nothing(uow_of: UowOf, lender: UUID) -> None:
    lines = tape(*good(5), line(number="bad", state="?"))
    first = await run(uow_of, lender, lines, chunk=2)
    again = await run(uow_of, lender, lines, chunk=3)
    assert (first.boarded, again.boarded, again.already_there, again.rejected) == (5, 0, 5, first.rejected)
    for table in (loans, borrowers, loan_events, journal_entries):
        assert await count(uow_of, lender, table) == 5
    longer = await run(uow_of, lender, tape(*good(7)))
    assert (longer.boarded, longer.already_there) == (2, 5)


async def test_an_interrupted_run_is_simply_repeated(uow_of: UowOf, lender: UUID) -> None:
    def interrupted() -> Iterable[str]:
        yield from tape(*good(6))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await run(uow_of, lender, interrupted(), chunk=2)
    there = await count(uow_of, lender)
    assert 0 < there <= 6
    assert there % 2 == 0, "whole chunks"
    async with uow_of(lender) as uow:
        assert [control for control in await ledger.reconcile(uow) if control.differing] == []
    report = await run(uow_of, lender, tape(*good(10)), chunk=2)
    assert (report.boarded, report.already_there) == (10 - there, there)
    assert await count(uow_of, lender, journal_entries) == 10


async def test_two_runs_at_once_board_each_loan_once(uow_of: UowOf, lender: UUID) -> None:
    lines, backwards = tape(*good(40)), tape(*good(40)[::-1])
    reports = await asyncio.gather(
        run(uow_of, lender, lines, chunk=10), run(uow_of, lender, backwards, chunk=10), return_exceptions=False
    )
    assert sum(report.boarded for report in reports) == 40
    assert sum(report.already_there for report in reports) == 40
    for table in (loans, borrowers, loan_events, journal_entries):
        assert await count(uow_of, lender, table) == 40


async def test_what_is_stored_is_what_the_replay_says_also_later_than_the_tape(
    make_tenant: MakeTenant, uow_of: UowOf
) -> None:
    tenant = await make_tenant(business_date=date(2018, 9, 20))
    lines = tape(line(number="A-1"), line(number="A-2", state="Late"), line(number="A-3", state="Paid", owed="0"))
    await run(uow_of, tenant, lines)
    async with uow_of(tenant) as uow:
        ids = list((await uow.execute(select(loans.c.id))).scalars())
        for loan in await lock_loans(uow, ids):
            state = loan.replay(date(2018, 9, 20)).state
            row = loan.row
            assert (row["principal_balance"], row["accrued_interest"]) == (state.principal_balance, state.accrued_interest)
            assert (row["days_past_due"], row["fees_balance"]) == (state.days_past_due, state.fees_balance)
            stored = await uow.all(select(instalments).where(instalments.c.loan_id == loan.id))
            assert len(stored) == len(state.instalments)
            fees = await uow.all(select(loan_fees).where(loan_fees.c.loan_id == loan.id))
            assert len(fees) == len(state.fees)
        assert sum(balance.net for balance in await ledger.trial_balance(uow, date(2018, 9, 20))) == 0
        assert [control for control in await ledger.reconcile(uow) if control.differing] == []


async def test_balances_of_the_future_are_refused(uow_of: UowOf, lender: UUID) -> None:
    with pytest.raises(InvalidInput, match="after the business date 2018-06-30"):
        await run(uow_of, lender, tape(*good(1)), as_of=date(2018, 7, 1))
    assert await count(uow_of, lender, programs) == 0, "nothing was written"


async def test_a_tape_without_a_mapped_column_is_refused(uow_of: UowOf, lender: UUID) -> None:
    with pytest.raises(InvalidInput, match="no column number, amount"):
        await run(uow_of, lender, ["a,b\n", "1,2\n"])
    with pytest.raises(InvalidInput, match="no column"):
        await run(uow_of, lender, [])
    assert (await run(uow_of, lender, tape())).rows == 0


async def test_loans_go_under_a_given_program(uow_of: UowOf, lender: UUID) -> None:
    terms = program_to_dict(mapping_from_dict(MAPPING_YAML).program)
    async with uow_of(lender) as uow:
        monthly = await program_service.create(uow, name="Mine", description="", terms=terms)
        weekly = await program_service.create(uow, name="Weekly", description="", terms={"frequency": "weekly"})
        closed = await program_service.create(uow, name="Closed", description="", terms=terms)
        await program_service.archive(uow, closed)
        await uow.commit()
    await run(uow_of, lender, tape(*good(1)), program_id=monthly)
    async with uow_of(lender) as uow:
        assert set((await uow.execute(select(loans.c.program_id))).scalars()) == {monthly}
    with pytest.raises(InvalidInput, match="weekly"):
        await run(uow_of, lender, tape(*good(1)), program_id=weekly)
    with pytest.raises(WrongState, match="archived"):
        await run(uow_of, lender, tape(*good(1)), program_id=closed)


@pytest.fixture
async def slug(uow_of: UowOf, lender: UUID) -> str:
    async with uow_of(lender) as uow:
        return str((await uow.one(select(tenants.c.slug).where(tenants.c.id == lender), "tenant"))["slug"])


@pytest.fixture
def in_directory(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command runs in a directory of its own, against this test's database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERDIEM_HOME", str(tmp_path))
    monkeypatch.setenv("PERDIEM_DATABASE_URL", settings.database_url.get_secret_value())
    return tmp_path


DEFAULT_HEADER = "loan_number,loan_amount,term,interest_rate,installment,issue_month,loan_status,balance,paid_principal"


def test_the_command_tells_what_became_of_the_rows(in_directory: Path, slug: str) -> None:
    path = in_directory / "small.csv"
    rows = ["CL-1,10000,36,5.32,301.15,Jan-18,Current,8704.48,1295.52", "CL-2,10000,36,5.32,310.00,Jan-18,Current,1,9999"]
    rows += ["CL-3,10000,36,5.32,301.15,Jan-18,=SUM(A1),1,9999"]
    path.write_bytes("\n".join([DEFAULT_HEADER, *rows]).encode() + b"\nCL-\xff,10000,36,5.32,,Jan-18,Current,1,\n")
    result = CliRunner().invoke(app, ["board", str(path), "--tenant", slug])
    assert result.exit_code == 1, "some were rejected"
    assert "2 boarded, 0 already there, 2 rejected, 1 to look at" in result.output
    with (in_directory / "small.rejects.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["outcome"], row["row"], row["column"]) for row in found] == [
        ("rejected", "4", "loan_status"),
        ("rejected", "5", "loan_number"),
        ("boarded", "3", "installment"),
    ]
    assert found[0]["value"] == "'=SUM(A1)", "no formula for a spreadsheet"
    again = CliRunner().invoke(app, ["board", str(path), "--tenant", slug])
    assert "0 boarded, 2 already there" in again.output


def test_the_command_refuses_a_mapping_that_is_none(in_directory: Path, slug: str) -> None:
    path = in_directory / "tape.csv"
    path.write_text(f"{DEFAULT_HEADER}\n")
    mapping = in_directory / "mapping.yaml"
    for text, reason in (("a: [", "is not YAML"), ("- a", "not a mapping"), ("columns: {}", "/columns/balance")):
        mapping.write_text(text)
        result = CliRunner().invoke(app, ["board", str(path), "--tenant", slug, "--mapping", str(mapping)])
        assert isinstance(result.exception, CliError)
        assert reason in str(result.exception)
    result = CliRunner().invoke(app, ["board", str(path), "--tenant", slug, "--program", "none such"])
    assert "There is no program none such" in str(result.exception)
