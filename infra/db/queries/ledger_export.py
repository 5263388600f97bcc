"""The general ledger as CSV, straight from the database: a line a transfer, streamed by COPY."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Final

from infra.db.uow import UnitOfWork

_CHUNK: Final = 64 * 1024

_FORMULA: Final = "'^[=+@\\t\\r-]'"
"""How a cell begins that a spreadsheet would take for a formula."""


def _text(column: str) -> str:
    """A text cell with an apostrophe before what would be a formula."""
    return f"CASE WHEN {column} ~ {_FORMULA} THEN '''' || {column} ELSE {column} END"


_EXPORT: Final = f"""
COPY (
    SELECT t.posting_date, e.effective_date, e.id AS entry_id, {_text("e.entry_key")} AS entry_key, e.revision, e.kind,
        {_text("l.loan_number")} AS loan_number, t.debit_account, t.credit_account, t.amount, e.reverses_id AS reverses
    FROM journal_transfers t
    JOIN journal_entries e ON e.tenant_id = t.tenant_id AND e.id = t.entry_id
    JOIN loans l ON l.tenant_id = t.tenant_id AND l.id = t.loan_id
    WHERE t.posting_date BETWEEN %(first)s AND %(last)s
    ORDER BY t.posting_date, t.entry_id, t.line
) TO STDOUT WITH (FORMAT csv, HEADER true)
"""  # noqa: S608 - nothing but the two constants above is put in


async def ledger_csv(uow: UnitOfWork, first: date, last: date) -> AsyncIterator[bytes]:
    """Every transfer posted from `first` to `last`, both included, in the order of posting dates: chunks of CSV in UTF-8.

    One statement, so all of it is of one instant; the same days of closed months give the same bytes for ever. A mirror's
    line names the entry it takes back in `reverses`.
    """
    driver = await uow.driver()
    waiting = bytearray()
    async with driver.cursor() as cursor, cursor.copy(_EXPORT, {"first": first, "last": last}) as copy:
        async for line in copy:
            waiting += line
            if len(waiting) >= _CHUNK:
                yield bytes(waiting)
                waiting.clear()
    if waiting:
        yield bytes(waiting)
