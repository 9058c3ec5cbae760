"""The control plane's description in OpenAPI 3.1, made of the table of routes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from lb import __version__
from lb.admin.routes import JSON, Route
from lb.admin.schemas import ERROR

ALWAYS = (401, 403)
"""What any request may be told."""


def description(routes: Sequence[Route]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    for path, operations in paths.items():
        if "{name}" in path:
            operations["parameters"] = [_NAME]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lb",
            "version": __version__,
            "summary": "A load balancer's control plane",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": {"Error": ERROR},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "What stands in server.admin_token_file, where it is given.",
                }
            },
        },
    }


_NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The backend's name, else its address.",
    "schema": {"type": "string"},
}


def _operation(route: Route) -> dict[str, Any]:
    answers = {str(route.status): _content("Fine", route.media, route.answer)}
    if route.path == "/lb-health":
        answers["503"] = _content("No backend is usable", JSON, route.answer)
    for status in sorted({*ALWAYS, *route.refusals}):
        error = {"$ref": "#/components/schemas/Error"}
        answers[str(status)] = _content(HTTPStatus(status).phrase, JSON, error)
    told: dict[str, Any] = {
        "operationId": re.sub(r"\W", "_", route.handler.__name__),
        "summary": route.summary,
        "responses": answers,
    }
    if route.body is not None:
        told["requestBody"] = {"required": True, "content": {JSON: {"schema": route.body}}}
    return told


def _content(told: str, media: str, schema: Any) -> dict[str, Any]:
    return {"description": told, "content": {media: {"schema": schema}}}
