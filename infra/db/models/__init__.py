"""Every table of the platform; importing this module fills `metadata`."""

from infra.db.metadata import metadata
from infra.db.models import processes, servicing, tenancy

__all__ = ["metadata", "processes", "servicing", "tenancy"]
