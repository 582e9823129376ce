"""The API's description and its page: Swagger UI from an installed package, so that /docs works without internet."""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from holdfast.api.answers import ProblemDocument, ProblemItem
from holdfast.api.gate import ADMIN_BELOW, API_KEY_HEADER, is_open, needed_role
from holdfast.api.problems import MEDIA_TYPE

ASSETS = ("fastapi_swagger", "resources")
"""Only its files are used: Swagger UI's script and style."""

SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key: `Authorization: Bearer hf_…`"},
    "header": {"type": "apiKey", "in": "header", "name": API_KEY_HEADER, "description": "The same key, as it is."},
}
OF_BODIES = (400, 408, 413, 415)
OF_KEYS = (401, 429, 503)

_REF = "#/components/schemas/{model}"
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)
# Relative addresses: the page also works behind a proxy that adds a prefix.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<link rel="icon" href="docs/assets/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
});
"""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that may refuse with these statuses."""
    schema = {"$ref": _REF.format(model=ProblemDocument.__name__)}
    return {s: {"description": HTTPStatus(s).phrase, "content": {MEDIA_TYPE: {"schema": schema}}} for s in statuses}


def describe(app: FastAPI, *, keys_required: bool) -> dict[str, Any]:
    """The OpenAPI document: with problem documents in the place of FastAPI's own errors, keys, and what `edge.Edge` and
    `gate.Gate` may answer on every route."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas[ProblemItem.__name__] = ProblemItem.model_json_schema()
        own = ProblemDocument.model_json_schema(ref_template=_REF)
        own.pop("$defs", None)
        schemas[ProblemDocument.__name__] = own
        document["components"]["securitySchemes"] = SCHEMES
        for path, operations in document["paths"].items():
            for operation in operations.values():
                _describe_refusals(path, operation, keys_required=keys_required)
        app.openapi_schema = document
    return app.openapi_schema


def _describe_refusals(path: str, operation: dict[str, Any], *, keys_required: bool) -> None:
    statuses = set(OF_BODIES if "requestBody" in operation else ())
    if not is_open(path):
        statuses |= {*OF_KEYS, *((403,) if needed_role(path) != "read" else ())}
        either: list[dict[str, list[str]]] = [{name: []} for name in SCHEMES]
        statuses |= set() if keys_required else {421}
        operation["security"] = either if keys_required or path.startswith(ADMIN_BELOW) else [*either, {}]
    for status, response in problems(*statuses).items():
        operation["responses"].setdefault(str(status), response)
    operation["responses"] = dict(sorted(operation["responses"].items()))


def install(app: FastAPI, *, keys_required: bool) -> None:
    """Add /docs, its files and the redirect from / to it."""

    async def home(_: Request) -> Response:
        return RedirectResponse("docs")

    async def docs(_: Request) -> Response:
        page = _PAGE.format(title=escape(app.title))
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": _DOCS_POLICY})

    async def start(_: Request) -> Response:
        return Response(_START, media_type="text/javascript")

    app.add_route("/", home, include_in_schema=False)
    app.add_route("/docs", docs, include_in_schema=False)
    app.add_route("/docs/start.js", start, include_in_schema=False)
    app.mount("/docs/assets", StaticFiles(packages=[ASSETS]), name="docs")
    app.openapi = lambda: describe(app, keys_required=keys_required)  # type: ignore[method-assign]  # how FastAPI documents it
