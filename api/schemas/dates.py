"""The business date and processes at the edge."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from api.schemas.base import Date, Schema


class BusinessDate(Schema):
    """A tenant's business date: what counts as today wherever money is concerned."""

    business_date: Date
    mode: Literal["live", "sandbox"] = Field(description="only a sandbox's date is moved by a call")
    zone: str = Field(examples=["America/New_York"])
    running_advance_id: UUID | None


class AdvanceRequest(Schema):
    """Where to move the business date of a sandbox."""

    to_date: Date = Field(description="1 to 400 days ahead; every day on the way is closed")


class Advance(Schema):
    """A request to move the business date, and how far it has come."""

    id: UUID
    status: Literal["running", "done"]
    from_date: Date
    to_date: Date
    current_date: Date = Field(description="the business date now")
    created_at: datetime
    finished_at: datetime | None
    workflow_id: str
    status_url: str
    ui_url: str | None = Field(description="the workflow in Temporal's UI")


class Process(Schema):
    """What is known of a workflow: what we asked for, and what Temporal says."""

    workflow_id: str
    workflow_type: str
    delivery: Literal["pending", "delivered", "dropped"] | None = Field(
        description="whether Temporal has been told to start it; null for one that another workflow starts"
    )
    requested_at: datetime | None
    last_error: str | None = Field(description="why the last attempt to start it failed")
    workflow_status: str | None = Field(
        description="running, completed, ...; null when Temporal does not know, or does not answer"
    )
    started_at: datetime | None
    closed_at: datetime | None
    ui_url: str | None
