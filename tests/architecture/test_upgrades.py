"""What was written before a migration is right after it, for every tenant, though row-level security binds its owner too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import psycopg
import pytest
from alembic import command

from infra.db.migrate import alembic_config
from infra.ids import new_id
from tests.conftest import PASSWORD, SERVER, Database

DAY = date(2020, 9, 9)


@pytest.fixture
def old(database: Database) -> Iterator[tuple[str, str]]:
    """A database as it was before events could be superseded: its name, and its owner's address. The roles come with
    `database`."""
    name = f"old_{os.getpid()}"
    with psycopg.connect(os.environ[SERVER], autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} OWNER perdiem_owner")
        url = f"postgresql+psycopg://perdiem_owner:{PASSWORD}@/{name}?host={admin.info.host}&port={admin.info.port}"
    command.upgrade(alembic_config(url), "0003")
    yield name, url
    with psycopg.connect(os.environ[SERVER], autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_events_get_their_places_and_loans_their_balances_by_account(old: tuple[str, str]) -> None:
    name, url = old
    tenants = [new_id() for _ in range(2)]
    with psycopg.connect(os.environ[SERVER], dbname=name, autocommit=True) as admin:
        for tenant in tenants:
            _loans(admin, tenant)
    command.upgrade(alembic_config(url), "head")
    with psycopg.connect(os.environ[SERVER], dbname=name, autocommit=True) as admin:
        events = admin.execute(
            "SELECT sequence, position, supersedes FROM loan_events ORDER BY tenant_id, sequence"
        ).fetchall()
        assert events == [(1, 1, None), (2, 2, None)] * 2
        balances = admin.execute("SELECT status, late_fees, charged_off_balance FROM loans ORDER BY status").fetchall()
        assert balances == [("active", Decimal(30), 0)] * 2 + [("charged_off", Decimal(30), Decimal("930.00"))] * 2
        forced = "SELECT count(*) FROM pg_class WHERE relname IN ('loans', 'loan_events') AND relforcerowsecurity"
        assert admin.execute(forced).fetchone() == (2,)
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            admin.execute("UPDATE loan_events SET position = 9")


def test_two_instruments_that_look_the_same_stay_and_are_unverified(old: tuple[str, str]) -> None:
    """The account numbers that would tell whether they are one were never kept."""
    name, url = old
    with psycopg.connect(os.environ[SERVER], dbname=name, autocommit=True) as admin:
        for tenant in [new_id() for _ in range(2)]:
            _instruments(admin, tenant)
    command.upgrade(alembic_config(url), "head")
    with psycopg.connect(os.environ[SERVER], dbname=name, autocommit=True) as admin:
        kept = admin.execute(
            "SELECT verification_status, account_number_encrypted, identity_hash FROM payment_instruments"
        ).fetchall()
        assert kept == [("unverified", None, None)] * 4


def _instruments(admin: psycopg.Connection[object], tenant: object) -> None:
    """A borrower who gave the same account twice."""
    borrower = new_id()
    admin.execute(
        "INSERT INTO borrowers (tenant_id, id, first_name, last_name) VALUES (%s, %s, 'J', 'D')", (tenant, borrower)
    )
    for _ in range(2):
        admin.execute(
            "INSERT INTO payment_instruments (tenant_id, id, borrower_id, instrument_type, account_holder_name,"
            " account_number_last_four) VALUES (%s, %s, %s, 'bank_account', 'J D', '6789')",
            (tenant, new_id(), borrower),
        )


def _loans(admin: psycopg.Connection[object], tenant: object) -> None:
    """An active and a charged-off loan that owe 900.00 and a late fee of 30.00; the active one has two events."""
    borrower, program = new_id(), new_id()
    admin.execute(
        "INSERT INTO borrowers (tenant_id, id, first_name, last_name) VALUES (%s, %s, 'J', 'D')", (tenant, borrower)
    )
    admin.execute("INSERT INTO programs (tenant_id, id, name, current_version) VALUES (%s, %s, 'P', 1)", (tenant, program))
    for status in ("active", "charged_off"):
        loan = new_id()
        admin.execute(
            "INSERT INTO loans (tenant_id, id, loan_number, borrower_id, program_id, program_version, status,"
            " principal_amount, annual_rate, term_periods, origination_date, first_due_date, maturity_date, level_payment,"
            " principal_balance, fees_balance) VALUES (%s, %s, %s, %s, %s, 1, %s, 1000, 0, 12, %s, %s, %s, 84, 900, 30)",
            (tenant, loan, status, borrower, program, status, DAY, DAY, DAY),
        )
        if status == "active":
            for sequence in (1, 2):
                admin.execute(
                    "INSERT INTO loan_events (tenant_id, id, loan_id, sequence, kind, effective_date, payload,"
                    " recorded_business_date) VALUES (%s, %s, %s, %s, 'disbursed', %s, '{}', %s)",
                    (tenant, new_id(), loan, sequence, DAY, DAY),
                )
