"""Every table of the platform; importing this module fills `metadata`."""

from infra.db.metadata import metadata
from infra.db.models import archive, payment_batches, processes, rails, servicing, tenancy, webhooks

__all__ = ["archive", "metadata", "payment_batches", "processes", "rails", "servicing", "tenancy", "webhooks"]
