"""What must be true of the services before the API and the worker start, whoever runs those services."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from infra.db.migrate import upgrade
from infra.settings import Settings
from infra.storage import ObjectStore
from infra.temporal import SEARCH_ATTRIBUTES, Temporal
from standalone.processes import StackError

_CALL = timedelta(seconds=10)
_ATTEMPTS = 60  # a Temporal that is just being set up has no namespace yet


def prepare_database(settings: Settings) -> None:
    """Brings the schema to the newest version, as the owner of the database."""
    settings.require("database_owner_url")
    upgrade(settings.database_owner_url.get_secret_value())


def prepare_storage(settings: Settings) -> None:
    """Makes the bucket if it is not there."""
    ObjectStore(settings).ensure_bucket()


def prepare_temporal(settings: Settings) -> None:
    """Registers our search attributes in the namespace, where they are not there yet.

    Raises: StackError when the server does not answer, or has no such namespace.
    """
    settings.require("temporal_address")
    asyncio.run(_register_search_attributes(settings))


async def _register_search_attributes(settings: Settings) -> None:
    temporal, reason = Temporal(settings), ""
    for _ in range(_ATTEMPTS):
        try:
            await _register_once(await temporal.client(lazy=False), settings.temporal_namespace)
            return
        except (RPCError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            await asyncio.sleep(1)
    raise StackError(
        f'Temporal at {settings.temporal_address} does not let us use its namespace "{settings.temporal_namespace}" '
        f"({reason}): start it, or correct PERDIEM_TEMPORAL_ADDRESS and PERDIEM_TEMPORAL_NAMESPACE."
    )


async def _register_once(client: Client, namespace: str) -> None:
    service = client.operator_service
    known = await service.list_search_attributes(ListSearchAttributesRequest(namespace=namespace), timeout=_CALL)
    missing = [name for name in SEARCH_ATTRIBUTES if name not in known.custom_attributes]
    if not missing:
        return
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    request = AddSearchAttributesRequest(namespace=namespace, search_attributes=dict.fromkeys(missing, keyword))
    try:
        await service.add_search_attributes(request, timeout=_CALL)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:  # somebody else was faster
            raise
