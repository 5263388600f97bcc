"""The connection to Temporal: made at the first use, with encrypted payloads and typed search attributes."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from datetime import timedelta
from typing import Any, Final, cast
from urllib.parse import quote

from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.service import RPCError, RPCStatusCode

from infra.codec import EncryptionCodec
from infra.settings import Settings, SettingsError

RPC_TIMEOUT: Final = timedelta(seconds=1)
"""How long a request of the API or the dispatcher waits for Temporal."""

TENANT_ID: Final = SearchAttributeKey.for_keyword("TenantId")
LOAN_ID: Final = SearchAttributeKey.for_keyword("LoanId")
WORKFLOW_KIND: Final = SearchAttributeKey.for_keyword("WorkflowKind")
BUSINESS_DATE: Final = SearchAttributeKey.for_keyword("BusinessDate")
STAGE: Final = SearchAttributeKey.for_keyword("Stage")
SEARCH_ATTRIBUTES: Final = {key.name: key for key in (TENANT_ID, LOAN_ID, WORKFLOW_KIND, BUSINESS_DATE, STAGE)}
"""All keywords: identifiers, kinds, an ISO date and a step. They are stored in the clear: never personal data."""


class TemporalUnavailable(Exception):
    """Temporal did not answer in time. Nothing is lost: what was to be told stays pending."""


class Temporal:
    """One per process. Constructing it neither connects nor needs a running server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    @property
    def task_queue(self) -> str:
        """The queue our workers listen on."""
        return self._settings.task_queue

    async def client(self, *, lazy: bool = True) -> Client:
        """The client, made at the first call. `lazy=False` connects now and raises RuntimeError when nobody answers
        (a worker needs it); otherwise the first request connects.

        Raises SettingsError when the address or the secret key is not set.
        """
        async with self._connecting:
            if self._client is None:
                self._settings.require("temporal_address")
                self._client = await Client.connect(
                    self._settings.temporal_address,
                    namespace=self._settings.temporal_namespace,
                    data_converter=data_converter(self._settings),
                    connect_timeout=RPC_TIMEOUT,
                    lazy=lazy,
                )
            return self._client

    async def close(self) -> None:
        """Let go of the client; the next use connects anew."""
        self._client = None

    def ui_link(self, workflow_id: str) -> str | None:
        """Where an operator sees the workflow, or None when no UI is configured."""
        base = self._settings.temporal_ui_url.rstrip("/")
        namespace = quote(self._settings.temporal_namespace, safe="")
        return f"{base}/namespaces/{namespace}/workflows/{quote(workflow_id, safe='')}" if base else None

    async def describe(self, workflow_id: str) -> WorkflowExecutionDescription | None:
        """What Temporal knows of a workflow; None when it knows nothing of it.

        Raises TemporalUnavailable after a second without an answer.
        """
        try:
            async with asyncio.timeout(RPC_TIMEOUT.total_seconds()):
                client = await self.client()
                return await client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise TemporalUnavailable(error.status.name) from error
        except (TimeoutError, RuntimeError, SettingsError) as error:
            raise TemporalUnavailable("no answer") from error

    async def query(self, workflow_id: str, name: str) -> Any | None:
        """The JSON value a workflow answers to a query; None when Temporal, a worker or the workflow is away."""
        try:
            async with asyncio.timeout(RPC_TIMEOUT.total_seconds()):
                client = await self.client()
                return await client.get_workflow_handle(workflow_id).query(name, rpc_timeout=RPC_TIMEOUT)
        except Exception:  # a query only adds to what the database says: whatever goes wrong, it is left out
            return None


def data_converter(settings: Settings) -> DataConverter:
    """Pydantic's JSON (dates, UUIDs, dataclasses), encrypted; messages and traces of failures too."""
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=EncryptionCodec(settings.derive_key("temporal-payloads")),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def typed_search_attributes(values: dict[str, str]) -> TypedSearchAttributes:
    """Search attributes by name. Raises KeyError for a name that is not ours."""
    return TypedSearchAttributes([SearchAttributePair(SEARCH_ATTRIBUTES[name], value) for name, value in values.items()])


def readable(summary: str) -> str:
    """A static summary that Temporal's UI can show. The SDK also takes a ready payload (which it then does not encrypt),
    though its signature only says `str`. Never put personal data in it."""
    payload = Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(summary).encode())
    return cast(str, payload)
