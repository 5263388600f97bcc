"""For whoever runs the process: alive, ready, measured."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from api.errors import problem
from api.schemas.base import Schema

router = APIRouter(tags=["health"])


class HealthOut(Schema):
    status: str


@router.get("/healthz")
async def is_alive() -> HealthOut:
    """The process answers."""
    return HealthOut(status="ok")


@router.get("/readyz", response_model=HealthOut)
async def is_ready(request: Request) -> HealthOut | Response:
    """The database answers. Temporal is not asked: without it the API accepts, and the worker catches up."""
    try:
        async with request.app.state.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError):
        return problem(503, "unavailable", "The database cannot be reached.", headers={"Retry-After": "1"})
    return HealthOut(status="ready")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def show_metrics(request: Request) -> Response:
    """Counts and durations of requests, in the format of Prometheus."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)
