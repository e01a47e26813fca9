"""The REST API put together: one router per resource, one way to refuse, one document."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation
from ninja.renderers import JSONRenderer

from apps.api import (
    images,
    me,
    problems,
    sizes,
    workspace_records,
    workspace_runs,
    workspaces,
)
from apps.api.openapi import complete
from apps.api.reading import StrictParser

DESCRIPTION = """\
Everything that the pages of GPU Commons do, for programs.

Send `Authorization: Bearer gpc_...`. Times are RFC 3339 in UTC, money is a decimal string beside
its `currency`. Refusals are `application/problem+json`: `code` is stable, `detail` says what is
wrong, `hint` what would help. Objects that change carry `version`, which only rises.
"""


class PlainRenderer(JSONRenderer):
    """JSON in UTF-8, and never NaN."""

    json_dumps_params = {"allow_nan": False, "ensure_ascii": False}


class PortalApi(NinjaAPI):
    """Ninja's API with our document."""

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        document = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
        complete(document)
        return document

    def on_exception(self, request: HttpRequest, exc: Any) -> HttpResponse:
        """Whatever was raised, as a problem."""
        return problems.of_exception(exc)

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The function's name: each operation has its own."""
        return operation.view_func.__name__


api = PortalApi(
    title="GPU Commons",
    version="1",
    description=DESCRIPTION,
    urls_namespace="api",
    docs_url=None,
    parser=StrictParser(),
    renderer=PlainRenderer(),
)
for part in (me, images, sizes, workspaces, workspace_runs, workspace_records):
    api.add_router("", part.router)
