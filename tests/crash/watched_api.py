"""The real API with a watch on it: `uvicorn tests.crash.watched_api:create_app --factory`."""

from __future__ import annotations

import re

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from api import app as real
from tests.crash.watch import Watch, call, install, watch_of_home

CALL = "x-call"
"""The header by which a client says which request this is, when it sends the same one again."""
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


class Calls:
    """ASGI middleware: each request that names itself is a call."""

    def __init__(self, app: ASGIApp, watch: Watch) -> None:
        self.app = app
        self.watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = dict(scope.get("headers", ())).get(CALL.encode())
        if key is None:
            await self.app(scope, receive, send)
        else:
            with call(self.watch, f"{scope['method']} {_ID.sub('{id}', scope['path'])}", key.decode()):
                await self.app(scope, receive, send)


def create_app() -> FastAPI:
    """What api.app:create_app makes, watched."""
    watch = watch_of_home()
    install(watch)
    app = real.create_app()
    app.add_middleware(Calls, watch=watch)
    return app
