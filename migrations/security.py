"""Row-level security and privileges, in SQL, for the tables a migration creates."""

from __future__ import annotations

from alembic import op

CURRENT_TENANT = "(SELECT NULLIF(current_setting('app.tenant_id', true), '')::uuid)"
"""A scalar subquery, so that it is evaluated once a statement. Unset means NULL, and so no rows at all."""


def privileges_on_database() -> None:
    """Only our roles may connect; the application role may make temporary tables, which bulk inserts go through."""
    op.execute(
        """
        DO $$ BEGIN
            EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
            EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO perdiem_app', current_database());
            EXECUTE format('GRANT CONNECT ON DATABASE %I TO perdiem_dispatch', current_database());
        END $$
        """
    )


def protect(table: str, *, tenant_column: str = "tenant_id", grants: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """Force row-level security on a table (its owner included) and grant the application role what it may do."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON {table} USING ({tenant_column} = {CURRENT_TENANT}) "
        f"WITH CHECK ({tenant_column} = {CURRENT_TENANT})"
    )
    op.execute(f"GRANT {grants} ON {table} TO perdiem_app")


def append_only(table: str) -> None:
    """Like `protect`, and nothing in the table is ever changed: no privilege for it, and a trigger for its owner."""
    protect(table, grants="SELECT, INSERT")
    op.execute(
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
