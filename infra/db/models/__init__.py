"""Every table of the platform; importing this module fills `metadata`."""

from infra.db.metadata import metadata
from infra.db.models import archive, processes, servicing, tenancy, webhooks

__all__ = ["archive", "metadata", "processes", "servicing", "tenancy", "webhooks"]
