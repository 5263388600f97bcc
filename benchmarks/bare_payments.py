"""The baseline of benchmarks/payments.py: a loop that knows no rules and writes the rows of a payment.

One transaction a payment, in psycopg's pipeline mode: bind the tenant, lock a loan, insert and update as many rows of each
table as a payment was seen to write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from infra.ids import new_id
from infra.settings import Settings

_ON: Final = date(2020, 9, 9)
_BIND: Final = "SELECT set_config('app.tenant_id', %(tenant)s, true)"
_WRITES: Final[dict[str, LiteralString]] = {
    "payments": """INSERT INTO payments (tenant_id, id, loan_id, amount, payment_method, status, settlement_status, source,
        effective_date, external_id, request_hash, principal_applied, interest_applied, fees_applied, unapplied_amount,
        recorded_business_date) VALUES (%(tenant)s, %(id)s, %(loan)s, 10000, 'check', 'completed', 'not_applicable', 'staff',
        %(on)s, %(name)s::text, sha256(%(name)s::text::bytea), 10000, 0, 0, 0, %(on)s)""",
    "loan_events": """INSERT INTO loan_events (tenant_id, id, loan_id, sequence, position, kind, effective_date, payload,
        recorded_business_date, recorded_by, recorded_at) SELECT %(tenant)s, uuidv7(), %(loan)s, %(turn)s * 100 + n,
        %(turn)s * 100 + n, 'payment_received', %(on)s,
        '{"amount": "100.00", "payment_id": "01a1ffa3-aaad-73db-af93-2ff8e7f29da0"}', %(on)s, %(id)s, now()
        FROM generate_series(1, %(rows)s) n""",
    "payment_allocations": """INSERT INTO payment_allocations (tenant_id, payment_id, line, component, instalment_number,
        amount) SELECT %(tenant)s, %(id)s, n, 'principal', n, 100 FROM generate_series(1, %(rows)s) n""",
    "loans": """UPDATE loans SET status = 'active', principal_balance = principal_balance + 1, accrued_interest = 0,
        fees_balance = 0, late_fees = 0, nsf_fees = 0, other_fees = 0, due_from_borrower = 0, charged_off_balance = 0,
        non_accrual_interest = 0, unapplied_balance = 0, past_due_amount = 0, oldest_unpaid_due_date = NULL,
        days_past_due = 0, delinquency_bucket = 'current', next_due_date = %(on)s, next_due_amount = 27745,
        total_paid = total_paid + 1, last_payment_date = %(on)s, paid_off_on = NULL, processed_through = %(on)s,
        last_sequence = last_sequence + 2, state_hash = %(name)s::text || %(name)s::text, updated_at = now()
        WHERE tenant_id = %(tenant)s AND id = %(loan)s""",
    "instalments": """UPDATE instalments SET principal_paid = principal_paid + 1, interest_paid = 0, status = 'partial'
        WHERE tenant_id = %(tenant)s AND loan_id = %(loan)s AND number <= %(rows)s""",
    "journal_entries": """INSERT INTO journal_entries (tenant_id, id, loan_id, entry_key, revision, kind, effective_date,
        posting_date, business_date, payment_id, posted_at) SELECT %(tenant)s, CASE n WHEN 1 THEN %(id)s ELSE
        uuidv7() END, %(loan)s, 'payment:' || %(id)s::uuid || n, 1, 'payment', %(on)s, %(on)s, %(on)s, %(id)s, now()
        FROM generate_series(1, %(rows)s) n""",
    "journal_transfers": """INSERT INTO journal_transfers (tenant_id, entry_id, line, loan_id, posting_date, debit_account,
        credit_account, amount) SELECT %(tenant)s, %(id)s, n, %(loan)s, %(on)s, 1010, 1100, 100
        FROM generate_series(1, %(rows)s) n""",
    "audit_log": """INSERT INTO audit_log (tenant_id, id, actor_kind, actor_id, action, object_type, object_id, before,
        after, business_date, recorded_at) SELECT %(tenant)s, uuidv7(), 'user', %(id)s, 'payment.recorded',
        'payment', %(id)s, '{"principal_balance": "10000.00", "status": "active"}', '{"amount": "10.01", "status": "active",
        "loan_id": "01a1ffa3-aa3f-737c-a987-5df2bceaebbe", "effective_date": "2020-09-09", "principal_balance": "10000.00"}',
        %(on)s, now() FROM generate_series(1, %(rows)s) n""",
    "webhook_events": """INSERT INTO webhook_events (tenant_id, id, type, loan_id, payment_id, loan_event_number,
        business_date, data) SELECT %(tenant)s, uuidv7(), 'payment.recorded', %(loan)s, %(id)s, n, %(on)s,
        CASE n WHEN 1 THEN '{"amount": "10.01", "overpayment": "0.00", "fees_applied": "0.00", "effective_date":
        "2020-09-09", "interest_applied": "10.01", "principal_applied": "0.00", "principal_balance": "10000.00",
        "due_from_borrower_applied": "0.00"}'::jsonb ELSE '{"settled_on": "2020-09-09"}' END
        FROM generate_series(1, %(rows)s) n""",
}
"""As many rows of each table, and as wide: every column that a payment changes."""


async def written_by(settings: Settings, tenant: UUID, pay: Callable[[], Awaitable[None]]) -> dict[str, int]:
    """How many rows of each table a payment writes: those that carry the number of its transaction.

    Raises RuntimeError when the payment writes to a table of which the bare loop knows nothing.
    """
    await pay()
    async with await _connect(settings) as connection:
        await connection.execute(_BIND, {"tenant": str(tenant)})
        found = await connection.execute("SELECT xmin::text FROM payments ORDER BY created_at DESC LIMIT 1")
        (number,) = await found.fetchone() or ("",)
        tables = await connection.execute(
            "SELECT table_name FROM information_schema.columns WHERE column_name = 'tenant_id' AND table_schema = 'public'"
        )
        counts = {}
        for (table,) in await tables.fetchall():
            count = sql.SQL("SELECT count(*) FROM {} WHERE xmin::text = %s").format(sql.Identifier(table))
            counts[table] = ((await (await connection.execute(count, [number])).fetchone()) or (0,))[0]
    unknown = {table for table, rows in counts.items() if rows} - _WRITES.keys()
    if unknown:
        raise RuntimeError(f"a payment writes to {', '.join(sorted(unknown))} too: teach the bare loop")
    return {table: counts[table] for table in _WRITES}


@dataclass(slots=True)
class BareLoop:
    """Connections that take turns by client."""

    connections: list[psycopg.AsyncConnection]
    tenant: str
    loans: Sequence[UUID]
    rows: dict[str, int]

    @classmethod
    async def of(
        cls, settings: Settings, tenant: UUID, loans: Sequence[UUID], rows: dict[str, int], clients: int
    ) -> BareLoop:
        """A loop on loans of its own: what it writes is no history that could be replayed."""
        connections = await asyncio.gather(*(_connect(settings) for _ in range(clients)))
        return cls(connections, str(tenant), loans, rows)

    async def pay(self, client: int, turn: int) -> None:
        """One payment."""
        connection, payment = self.connections[client], new_id()
        values: dict[str, Any] = {
            "tenant": self.tenant,
            "id": payment,
            "loan": self.loans[(client + turn * len(self.connections)) % len(self.loans)],
            "name": payment.hex,
            "on": _ON,
            "turn": (payment.int >> 80) % 10_000_000 + 100,
        }
        async with connection.pipeline(), connection.transaction():
            await connection.execute(_BIND, values)
            locked = "SELECT * FROM loans WHERE tenant_id = %(tenant)s AND id = %(loan)s FOR UPDATE"
            await connection.execute(locked, values)
            for table, count in self.rows.items():
                if count:
                    await connection.execute(_WRITES[table], {**values, "rows": count})

    async def close(self) -> None:
        for connection in self.connections:
            await connection.close()


async def _connect(settings: Settings) -> psycopg.AsyncConnection:
    url = settings.database_url.get_secret_value().replace("+psycopg", "")
    return await psycopg.AsyncConnection.connect(url)
