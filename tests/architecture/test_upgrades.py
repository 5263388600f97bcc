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


def test_what_the_sandbox_rail_had_taken_and_not_settled_goes_on_as_an_entry(old: tuple[str, str]) -> None:
    name, url = old
    with psycopg.connect(os.environ[SERVER], dbname=name, autocommit=True) as admin:
        tenants = [new_id() for _ in range(2)]
        drafts = [_in_transit(admin, tenant) for tenant in tenants]
    command.upgrade(alembic_config(url), "head")
    with psycopg.connect(os.environ[SERVER], dbname=name, autocommit=True) as admin:
        found = admin.execute(
            "SELECT e.tenant_id, e.draft_id, e.amount, e.status, e.settles_on, c.status FROM rail_entries e"
            " JOIN rail_cutoffs c ON c.id = e.cutoff_id ORDER BY e.tenant_id"
        ).fetchall()
        expected = [
            (tenant, draft, 84, "in_transit", DAY, "acknowledged") for tenant, draft in zip(tenants, drafts, strict=True)
        ]
        assert found == sorted(expected)
        forced = "SELECT count(*) FROM pg_class WHERE relname IN ('payments', 'autopay_drafts') AND relforcerowsecurity"
        assert admin.execute(forced).fetchone() == (2,)


def _in_transit(admin: psycopg.Connection[object], tenant: object) -> object:
    """A draft that the rail has taken, and one that has settled; returns the first."""
    _loans(admin, tenant)
    _instruments(admin, tenant)
    loan = admin.execute("SELECT id FROM loans WHERE tenant_id = %s AND status = 'active'", (tenant,)).fetchone()
    account = admin.execute("SELECT id FROM payment_instruments WHERE tenant_id = %s LIMIT 1", (tenant,)).fetchone()
    assert loan is not None
    assert account is not None
    enrolment, result = new_id(), None
    admin.execute(
        "INSERT INTO autopay_enrolments (tenant_id, id, loan_id, payment_instrument_id, status, amount_type, start_date)"
        " VALUES (%s, %s, %s, %s, 'active', 'next_due', %s)",
        (tenant, enrolment, loan[0], account[0], DAY),
    )
    for month, settled_at in ((10, None), (11, "2020-11-10")):
        payment, draft = new_id(), new_id()
        admin.execute(
            "INSERT INTO payments (tenant_id, id, loan_id, payment_instrument_id, amount, payment_method, status,"
            " settlement_status, source, effective_date, recorded_business_date, principal_applied, interest_applied,"
            " fees_applied, unapplied_amount)"
            " VALUES (%s, %s, %s, %s, 84, 'ach', 'processing', 'in_transit', 'autopay', %s, %s, 84, 0, 0, 0)",
            (tenant, payment, loan[0], account[0], DAY, DAY),
        )
        admin.execute(
            "INSERT INTO autopay_drafts (tenant_id, id, enrolment_id, loan_id, process_date, attempt, amount, status,"
            " payment_id) VALUES (%s, %s, %s, %s, %s, 1, 84, 'sent', %s)",
            (tenant, draft, enrolment, loan[0], date(2020, month, 9), payment),
        )
        admin.execute(
            "INSERT INTO rail_transfers (tenant_id, id, draft_id, amount, accepted_on, settles_on, settled_at)"
            " VALUES (%s, %s, %s, 84, %s, %s, %s)",
            (tenant, new_id(), draft, DAY, DAY, settled_at),
        )
        result = result or draft
    return result


def test_what_was_drafted_keeps_its_day_and_its_account(old: tuple[str, str]) -> None:
    """A draft of an autopay that has no other terms than it had: it follows the due dates."""
    name, url = old
    with psycopg.connect(os.environ[SERVER], dbname=name, autocommit=True) as admin:
        for tenant in [new_id() for _ in range(2)]:
            _loans(admin, tenant)
            _instruments(admin, tenant)
            _drafted(admin, tenant)
    command.upgrade(alembic_config(url), "head")
    with psycopg.connect(os.environ[SERVER], dbname=name, autocommit=True) as admin:
        drafts = admin.execute(
            "SELECT process_date, apply_date, payment_instrument_id IS NULL FROM autopay_drafts ORDER BY process_date"
        ).fetchall()
        assert drafts == [(date(2020, 10, 13), DAY, False)] * 2 + [(date(2020, 11, 9), date(2020, 11, 9), True)] * 2
        terms = admin.execute("SELECT DISTINCT kind, frequency, payoff_rule, retry_days FROM autopay_enrolments").fetchall()
        assert terms == [("autopay", "due_dates", "cap", 2)]
        forced = "SELECT count(*) FROM pg_class WHERE relname IN ('autopay_drafts', 'payments') AND relforcerowsecurity"
        assert admin.execute(forced).fetchone() == (2,)


def _drafted(admin: psycopg.Connection[object], tenant: object) -> None:
    """A draft that went out late and counted on its due date, and one that was not drafted."""
    loan = admin.execute("SELECT id FROM loans WHERE tenant_id = %s AND status = 'active'", (tenant,)).fetchone()
    account = admin.execute("SELECT id FROM payment_instruments WHERE tenant_id = %s LIMIT 1", (tenant,)).fetchone()
    assert loan is not None
    assert account is not None
    enrolment, payment = new_id(), new_id()
    admin.execute(
        "INSERT INTO autopay_enrolments (tenant_id, id, loan_id, payment_instrument_id, status, amount_type, start_date)"
        " VALUES (%s, %s, %s, %s, 'active', 'next_due', %s)",
        (tenant, enrolment, loan[0], account[0], DAY),
    )
    admin.execute(
        "INSERT INTO payments (tenant_id, id, loan_id, payment_instrument_id, amount, payment_method, status,"
        " settlement_status, source, effective_date, recorded_business_date, principal_applied, interest_applied,"
        " fees_applied, unapplied_amount)"
        " VALUES (%s, %s, %s, %s, 84, 'ach', 'processing', 'in_transit', 'autopay', %s, %s, 84, 0, 0, 0)",
        (tenant, payment, loan[0], account[0], DAY, DAY),
    )
    for process_date, status, paid in ((date(2020, 10, 13), "sent", payment), (date(2020, 11, 9), "not_drafted", None)):
        admin.execute(
            "INSERT INTO autopay_drafts (tenant_id, id, enrolment_id, loan_id, process_date, attempt, amount, status,"
            " payment_id) VALUES (%s, %s, %s, %s, %s, 1, 84, %s, %s)",
            (tenant, new_id(), enrolment, loan[0], process_date, status, paid),
        )


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


def test_reversals_that_restated_days_go_on_as_corrections(old: tuple[str, str]) -> None:
    """One that was completed, one in the middle of its days, one that waits for approval: each at its checkpoint."""
    name, url = old
    tenants = [new_id() for _ in range(2)]
    with psycopg.connect(os.environ[SERVER], dbname=name, autocommit=True) as admin:
        for tenant in tenants:
            _loans(admin, tenant)
    command.upgrade(alembic_config(url), "0011")
    with psycopg.connect(os.environ[SERVER], dbname=name, autocommit=True) as admin:
        for tenant in tenants:
            _reversals(admin, tenant)
    command.upgrade(alembic_config(url), "head")
    with psycopg.connect(os.environ[SERVER], dbname=name, autocommit=True) as admin:
        found = admin.execute(
            "SELECT c.kind, c.since, c.events_through, c.restated_through, c.finished_at IS NOT NULL, count(s.as_of)"
            " FROM loan_corrections c JOIN payment_reversals r ON (r.tenant_id, r.id) = (c.tenant_id, c.id)"
            " LEFT JOIN status_restatements s ON (s.tenant_id, s.correction_id) = (c.tenant_id, c.id)"
            " GROUP BY c.tenant_id, c.id ORDER BY 5, c.tenant_id"
        ).fetchall()
        assert found == [("reversal", DAY, 4, DAY, False, 1)] * 2 + [("reversal", DAY, 4, None, True, 0)] * 2


def _reversals(admin: psycopg.Connection[object], tenant: object) -> None:
    """Three payments of a loan and their reversals; of the second one day was compared and restated."""
    (loan,) = admin.execute("SELECT id FROM loans WHERE tenant_id = %s LIMIT 1", (tenant,)).fetchone() or (None,)
    states = (
        ("completed", "done", DAY, None),
        ("applied", "snapshots", DAY, DAY),
        ("pending_approval", "approval", None, None),
    )
    for status, step, applied, restated in states:
        payment, reversal = new_id(), new_id()
        admin.execute(
            "INSERT INTO payments (tenant_id, id, loan_id, amount, payment_method, status, settlement_status, source,"
            " effective_date, recorded_business_date, request_hash, principal_applied, interest_applied, fees_applied,"
            " unapplied_amount) VALUES (%s, %s, %s, 5, 'ach', 'completed', 'not_applicable', 'staff', %s, %s, '', 5, 0, 0,"
            " 0)",
            (tenant, payment, loan, DAY, DAY),
        )
        admin.execute(
            "INSERT INTO payment_reversals (tenant_id, id, payment_id, loan_id, amount, reason, assess_nsf_fee, status,"
            " step, requested_on, applied_on, effective_date, events_through, restated_through)"
            " VALUES (%s, %s, %s, %s, 5, 'x', false, %s, %s, %s, %s, %s, %s, %s)",
            (tenant, reversal, payment, loan, status, step, DAY, applied, applied, 4 if applied else None, restated),
        )
        if restated:
            admin.execute(
                "INSERT INTO status_restatements (tenant_id, reversal_id, as_of, loan_id, differs)"
                " VALUES (%s, %s, %s, %s, '[]')",
                (tenant, reversal, DAY, loan),
            )
