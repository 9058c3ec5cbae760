"""Every route of the control plane, in one table: what it is for and what it takes and gives.

The application and its description in OpenAPI are both made of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from aiohttp import web

from lb.admin import control, schemas, streams, views

JSON = "application/json"
STREAM = "text/event-stream"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Route(NamedTuple):
    """One of them."""

    method: str
    path: str
    """As OpenAPI writes it."""
    handler: Handler
    summary: str
    status: int
    answer: Mapping[str, Any]
    """A schema, of what comes with `status`."""
    media: str = JSON
    body: Mapping[str, Any] | None = None
    """A schema of what is sent."""
    refusals: tuple[int, ...] = ()
    """Statuses of errors, beside those that any request may get."""


BACKEND = "/v1/backends/{name}"
ROUTES = (
    Route(
        "GET",
        "/metrics",
        views.metrics,
        "Everything, as Prometheus text",
        200,
        schemas.TEXT,
        media="text/plain",
    ),
    Route(
        "GET",
        "/events",
        streams.events,
        "What the log tells, as it happens",
        200,
        schemas.TEXT,
        media=STREAM,
        refusals=(503,),
    ),
    Route(
        "GET",
        "/lb-health",
        views.health,
        "200 while some backend is usable",
        200,
        schemas.HEALTH,
    ),
    Route("GET", "/lb-stats", views.stats, "All that is counted", 200, schemas.STATS),
    Route("GET", "/v1/snapshot", views.snapshot, "Everything, as JSON", 200, schemas.SNAPSHOT),
    Route("GET", "/v1/forecast", views.forecast, "What it should be", 200, schemas.FORECAST),
    Route(
        "GET",
        "/v1/picks",
        views.picks,
        "Why the last picks fell as they did: ?last=20; watched from the first time on",
        200,
        schemas.PICKS,
        refusals=(400,),
    ),
    Route("GET", "/v1/config", views.config, "The file in force", 200, schemas.CONFIG),
    Route("GET", "/v1/openapi.json", views.openapi, "This description", 200, schemas.ANY),
    Route(
        "POST",
        "/v1/backends",
        control.add_backend,
        "Add a backend",
        201,
        schemas.BACKEND,
        body=schemas.NEW_BACKEND,
        refusals=(400, 408, 409, 413),
    ),
    Route(
        "PATCH",
        BACKEND,
        control.change_backend,
        "Change a backend's state, weight, or both",
        200,
        schemas.BACKEND,
        body=schemas.CHANGE,
        refusals=(400, 404, 408, 413),
    ),
    Route(
        "DELETE",
        BACKEND,
        control.remove_backend,
        "Remove a backend; what it has in flight ends",
        200,
        schemas.REMOVED,
        refusals=(404,),
    ),
    Route(
        "PUT",
        "/v1/algorithm",
        control.change_algorithm,
        "Pick by another algorithm",
        200,
        schemas.ALGORITHM,
        body=schemas.NEW_ALGORITHM,
        refusals=(400, 408, 413),
    ),
    Route(
        "POST",
        "/v1/reload",
        control.reload,
        "Read the file again",
        200,
        schemas.RELOADED,
        refusals=(400, 409),
    ),
    Route("POST", "/v1/stop", control.stop, "Drain, then end", 202, schemas.STOPPING),
)
"""But for the status page, which is for people."""
