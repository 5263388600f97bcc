"""The metadata all tables share, and the shape every tenant's table has."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, DateTime, ForeignKeyConstraint, MetaData, PrimaryKeyConstraint, Table, Uuid, text
from sqlalchemy.schema import SchemaItem

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def tenant_table(name: str, *items: SchemaItem, key: tuple[str, ...] = ("id",)) -> Table:
    """A table whose rows belong to one tenant: (tenant_id, *key) is its key, row-level security is forced."""
    columns: list[SchemaItem] = [Column("tenant_id", Uuid, nullable=False)]
    if "id" in key:
        columns.append(Column("id", Uuid, nullable=False))
    return Table(name, metadata, *columns, *items, PrimaryKeyConstraint("tenant_id", *key), info={"tenant": True})


def belongs_to(column: str, table: str, target: str = "id", *, ondelete: str | None = None) -> ForeignKeyConstraint:
    """A foreign key that carries the tenant, because foreign-key checks bypass row-level security."""
    return ForeignKeyConstraint(["tenant_id", column], [f"{table}.tenant_id", f"{table}.{target}"], ondelete=ondelete)


def timestamp(name: str, **kwargs: Any) -> Column[Any]:
    """A UTC timestamp that is set by the database when the row does not say."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=text("now()"), **kwargs)
