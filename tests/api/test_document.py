"""openapi.json is valid and true; the page shows it without inline scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver
from jsonschema import Draft202012Validator

from tests.api.rest import document

ABSENT = ("save", "restore", "snapshots", "files", "jobs", "queues", "usage", "costs", "metrics")


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, details in methods.items():
            yield f"{method.upper()} {path}", details


def test_every_operation_says_all_that_there_is_to_say() -> None:
    for name, details in operations():
        assert details["summary"], name
        assert details["description"], name
        assert details["security"][0]["bearer"] in (["read"], ["workspaces"]), name
        assert details["security"][0]["bearer"] == (
            ["read"] if name.startswith("GET") else ["workspaces"]
        ), name
        codes = set(details["responses"])
        assert {"401", "403", "500", "503"} <= codes, name
        assert len([code for code in codes if code < "300"]) == 1, name
        assert "x-rules" not in details


def test_operation_ids_are_unique_and_references_lead_somewhere() -> None:
    ids = [details["operationId"] for _name, details in operations()]
    assert len(ids) == len(set(ids))
    schemas = document()["components"]["schemas"]
    for name in re.findall(r"'#/components/schemas/([^']+)'", str(document())):
        assert name in schemas
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


def test_posts_take_a_key_and_say_when_they_repeat() -> None:
    for name, details in operations():
        headers = [p["name"] for p in details["parameters"] if p["in"] == "header"]
        assert ("Idempotency-Key" in headers) == name.startswith("POST"), name


def test_bodies_refuse_unknown_fields() -> None:
    schemas = document()["components"]["schemas"]
    for name in ("LaunchBody", "ChangeBody", "ExtendBody", "StopBody", "Nothing"):
        assert schemas[name]["additionalProperties"] is False


def test_problems_are_described_as_problems() -> None:
    for name, details in operations():
        for code, told in details["responses"].items():
            if code >= "400":
                assert list(told["content"]) == ["application/problem+json"], (name, code)


def test_what_is_not_built_is_absent() -> None:
    for path in document()["paths"]:
        assert not set(path.split("/")) & set(ABSENT), path
    text = str(document()["components"]["schemas"]["LaunchBody"])
    assert "from_snapshot" not in text


def test_the_document_names_every_route() -> None:
    prefix = "api/v1/"
    patterns: list[Any] = get_resolver().url_patterns
    for step in ("api/", "v1/"):
        patterns = next(p for p in patterns if str(p.pattern) == step).url_patterns
    routes = {str(route.pattern) for route in patterns} - {"", "openapi.json"}
    told = {path.removeprefix(f"/{prefix}") for path in document()["paths"]}
    assert {re.sub(r"<(\w+)>", r"{\1}", route) for route in routes} == told


@pytest.mark.django_db
def test_the_page_runs_no_inline_script() -> None:
    response = Client().get("/api/docs")
    assert response.status_code == 200
    text = response.content.decode()
    policy = response["Content-Security-Policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce
    assert "unsafe" not in policy
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", text, re.DOTALL)
    assert any("swagger-ui-bundle.js" in attributes for attributes, _content in scripts)
    for attributes, content in scripts:
        assert content.strip() == ""
        assert f'nonce="{nonce[1]}"' in attributes
    assert not re.search(r"\son\w+=|style=", text)
    assert 'data-document-url="/api/v1/openapi.json"' in text
    assert 'id="scope_missing"' in text


def test_the_reference_names_every_call() -> None:
    root = Path(__file__).resolve().parents[2]
    text = (root / "docs" / "reference" / "rest.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:GET|POST|PATCH|DELETE) /[\w/{}]+)`", text))
    told = {name.replace("/api/v1", "") for name, _details in operations()}
    assert named == told
