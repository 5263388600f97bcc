"""One Temporal dev server and one worker a test process; activities run on the real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from activities.registry import activities
from infra.notifier import Notifier
from infra.settings import Settings
from infra.temporal import SEARCH_ATTRIBUTES, Temporal, data_converter
from services.intents import Delivery
from standalone.binaries import find_temporal, find_test_server
from tests.workflows.platform import Platform
from worker import RUNNER, WORKFLOWS, make_worker


async def up(start: Callable[[], Awaitable[WorkflowEnvironment]]) -> WorkflowEnvironment:
    """A server that is started again when it is not up in time: the SDK gives it 5 s, however busy the machine is."""
    for _ in range(4):
        try:
            return await start()
        except RuntimeError as error:
            if "did not start within" not in str(error):
                raise
    return await start()


@pytest.fixture(scope="session")
async def temporal_address() -> AsyncIterator[str]:
    """A dev server that keeps its state in memory."""
    environment = await up(
        lambda: WorkflowEnvironment.start_local(
            dev_server_existing_path=str(find_temporal().path),
            dev_server_log_level="error",
            search_attributes=list(SEARCH_ATTRIBUTES.values()),
        )
    )
    yield environment.client.service_client.config.target_host
    await environment.shutdown()


@pytest.fixture(scope="session")
def temporal_settings(settings: Settings, temporal_address: str) -> Settings:
    return settings.model_copy(update={"temporal_address": temporal_address, "temporal_ui_url": "http://ui.test"})


@pytest.fixture(scope="session")
def temporal(temporal_settings: Settings) -> Temporal:
    return Temporal(temporal_settings)


@pytest.fixture(scope="session")
async def temporal_client(temporal: Temporal) -> Client:
    return await temporal.client(lazy=False)


@pytest.fixture(scope="session")
def delivery(dispatch: AsyncEngine, temporal: Temporal) -> Delivery:
    return Delivery(dispatch, temporal)


@pytest.fixture(scope="session")
async def running_worker(temporal_settings: Settings, temporal_client: Client, engine: AsyncEngine) -> AsyncIterator[None]:
    async with make_worker(temporal_settings, temporal_client, engine):
        yield


@pytest.fixture
def platform(
    engine: AsyncEngine, temporal_client: Client, delivery: Delivery, running_worker: None, no_intents_of_others: None
) -> Platform:
    """What a test does as the API would, with a worker that carries it out."""
    return Platform(engine, temporal_client, delivery)


@pytest.fixture(scope="module")
async def skipping(settings: Settings) -> AsyncIterator[WorkflowEnvironment]:
    """A server whose clock is moved by the tests, one a module."""
    environment = await up(
        lambda: WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=str(find_test_server()), data_converter=data_converter(settings)
        )
    )
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    request = AddSearchAttributesRequest(search_attributes=dict.fromkeys(SEARCH_ATTRIBUTES, keyword))
    await environment.client.operator_service.add_search_attributes(request)
    yield environment
    await environment.shutdown()


@pytest.fixture
async def live(
    skipping: WorkflowEnvironment,
    settings: Settings,
    engine: AsyncEngine,
    dispatch: AsyncEngine,
    no_intents_of_others: None,
) -> AsyncIterator[Platform]:
    """The platform on that server: the API's side, and a worker whose every task is a replay of the whole history."""
    address = skipping.client.service_client.config.target_host
    temporal = Temporal(settings.model_copy(update={"temporal_address": address}))
    async with Worker(
        skipping.client,
        task_queue=settings.task_queue,
        workflows=WORKFLOWS,
        activities=activities(settings, engine, skipping.client, Notifier(settings)),
        workflow_runner=RUNNER,
        max_cached_workflows=0,
    ):
        yield Platform(engine, skipping.client, Delivery(dispatch, temporal))


@pytest.fixture
def replayer(settings: Settings) -> Replayer:
    return Replayer(workflows=WORKFLOWS, data_converter=data_converter(settings), workflow_runner=RUNNER)
