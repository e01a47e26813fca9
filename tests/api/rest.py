"""A client that speaks JSON to `/api/v1` and holds every answer to the published document."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.http import HttpResponse
from django.test import Client
from jsonschema import Draft202012Validator

PREFIX = "/api/v1"
JSON = "application/json"
PROBLEM = "application/problem+json"


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document, as anybody gets it."""
    found = json.loads(Client().get(f"{PREFIX}/openapi.json").content)
    assert isinstance(found, dict)
    return found


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """What the document says of this call, if it knows it."""
    for template, methods in document()["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if re.fullmatch(pattern, path) and method.lower() in methods:
            found = methods[method.lower()]
            assert isinstance(found, dict)
            return found
    return None


def check_against_document(method: str, path: str, response: HttpResponse) -> None:
    """The status is a promised one, and the body fits its schema."""
    operation = operation_of(method, path)
    if operation is None:
        return
    told = operation["responses"].get(str(response.status_code))
    assert told is not None, f"{method} {path} -> {response.status_code} is not documented"
    media_type = response["Content-Type"].split(";")[0]
    assert media_type in told["content"], f"{media_type} is not documented"
    if "json" in media_type:
        schema = {**told["content"][media_type]["schema"], "components": document()["components"]}
        Draft202012Validator(schema).validate(json.loads(response.content))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Rest:
    """One caller."""

    client: Client

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send; `body` None sends none, text is sent as it is; header names with `_` for `-`."""
        content = body if isinstance(body, str) else json.dumps(body)
        extra: dict[str, Any] = {}
        if method != "GET":
            extra = {"data": "" if body is None else content, "content_type": JSON}
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        full = path if path.startswith("/api/") else f"{PREFIX}{path}"
        response = getattr(self.client, method.lower())(full, headers=names, **extra)
        check_against_document(method, full.partition("?")[0], response)
        is_json = "json" in response.get("Content-Type", "")
        return Answer(
            response.status_code,
            json.loads(response.content) if is_json else response.content.decode(),
            {name.lower(): value for name, value in response.items()},
        )

    def get(self, path: str, **headers: str) -> Answer:
        return self("GET", path, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        return self("POST", path, body, **headers)

    def patch(self, path: str, body: object) -> Answer:
        return self("PATCH", path, body)

    def delete(self, path: str) -> Answer:
        return self("DELETE", path)


As = Callable[..., Rest]
"""`rest(person, *scopes)` of the conftest."""


def assert_problem(answer: Answer, status: int, code: str) -> None:
    """A refusal in full: media type, all fields, and the code."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == PROBLEM
    assert answer.body["code"] == code
    assert answer.body["status"] == status
    assert {"type", "title", "detail", "hint"} <= set(answer.body)
    if status in {429, 503}:
        assert int(answer.headers["retry-after"]) > 0
