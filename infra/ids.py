"""Identifiers: UUIDv7, made by the client, so that rows sort by creation and a retry can carry its own id."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A fresh UUIDv7."""
    return uuid7()
