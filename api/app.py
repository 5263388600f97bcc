"""The application factory. Importing and calling it needs no running service; the lifespan opens the engines."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api import errors
from api.guard import Guard, Metrics
from api.openapi import document
from api.routers import ROUTERS, health
from api.together import Together
from api.turns import Turns
from infra.clock import Clock, utc_now
from infra.crypto import Vault
from infra.db.engine import app_engine, dispatch_engine
from infra.notifier import Notifier
from infra.settings import Settings, load_settings
from infra.temporal import Temporal
from services.auth import Platform, Sessions
from services.intents import Delivery

PREFIX = "/api/v1"


def create_app(settings: Settings | None = None, *, clock: Clock = utc_now) -> FastAPI:
    """The HTTP API. `settings` None: read from the environment."""
    chosen = settings or load_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        chosen.require("database_url", "database_dispatch_url", "secret_key")
        state = app.state
        state.vault = Vault.of(chosen)
        state.engine = app_engine(chosen)
        state.platform = Platform(state.engine, state.vault, clock)
        state.sessions = Sessions(state.platform)
        dispatch = dispatch_engine(chosen)
        state.temporal = Temporal(chosen)
        state.delivery = Delivery(dispatch, state.temporal)
        state.together = Together(state.delivery)
        _settle_down()
        try:
            yield
        finally:
            await state.together.close()
            await state.delivery.close()
            await state.temporal.close()
            await dispatch.dispose()
            await state.engine.dispose()

    app = FastAPI(
        title="Perdiem",
        version="0.1.0",
        summary="Servicing of consumer instalment loans, exact to the cent",
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        redirect_slashes=False,
    )
    app.state.settings = chosen
    app.state.clock = clock
    app.state.metrics = Metrics()
    app.state.turns = Turns()
    app.state.notifier = Notifier(chosen)
    errors.install(app)
    app.add_middleware(Guard, metrics=app.state.metrics)
    app.include_router(health.router)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    return app


def _settle_down() -> None:
    """What is there now stays: the collector need not go through it again and again, nor look as often as in a script.
    Requests leave little behind that is not freed when its last reference goes. Halves the p99 of recording payments."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _operation_id(route: APIRoute) -> str:
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name
