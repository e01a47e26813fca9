"""What ninja cannot know about our operations, added to its OpenAPI document.

Scopes, the problem answers of each operation, the headers that go in and out.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from apps.api.idempotency import HEADER, REPLAYED
from apps.api.operations import RULES, Rules
from apps.api.problems import CODES, MEDIA_TYPE, TITLES, ProblemDetails

Json = dict[str, Any]
REF = "#/components/schemas/{model}"

SECURITY_SCHEMES: Json = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "gpc_...",
        "description": "A token made on the account's page or by `manage.py token`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "gpc_session",
        "description": "The portal's own pages. Unsafe methods also need the header X-CSRFToken.",
    },
}
KEY_PARAMETER: Json = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": (
        "Per person and address, for 24 hours: the same key and body give the first answer again."
    ),
}
RETRY_AFTER: Json = {
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds until it may work"}
}


def complete(document: Json) -> Json:
    """`document` with all that our operations promise."""
    components = document.setdefault("components", {})
    schema = ProblemDetails.model_json_schema(ref_template=REF)
    schemas = components.setdefault("schemas", {})
    schemas.update(schema.pop("$defs"))
    schemas["ProblemDetails"] = schema
    components["securitySchemes"] = SECURITY_SCHEMES
    for methods in document["paths"].values():
        for details in methods.values():
            _complete_operation(details)
    return document


def _complete_operation(details: Json) -> None:
    rules: Rules = details.pop(RULES)
    details["security"] = [{"bearer": [rules.scope.value]}, {"session": []}]
    details["x-scope"] = rules.scope.value
    responses = {str(status): told for status, told in details["responses"].items()}
    first = responses[str(rules.status)]
    if rules.answer is None:
        first["content"] = {rules.media_type: {"schema": {"type": "string"}}}
    if rules.once:
        details["parameters"] = [*details["parameters"], KEY_PARAMETER]
        first["headers"] = {
            REPLAYED: {
                "schema": {"type": "string", "enum": ["true"]},
                "description": "This is the answer that the same key had before",
            }
        }
    for status in _refusals(rules, details):
        responses[str(status)] = _problem(status)
    details["responses"] = responses


def _refusals(rules: Rules, details: Json) -> list[int]:
    found = {401, 403, 500, 503, *rules.refusals}
    if details["parameters"] or "requestBody" in details:
        found.add(422)
    if any(parameter["in"] == "path" for parameter in details["parameters"]):
        found.add(404)
    if "requestBody" in details:
        found |= {413, 415}
    return sorted(found)


def _problem(status: int) -> Json:
    told: Json = {
        "description": str(TITLES.get(CODES[status], HTTPStatus(status).phrase)),
        "content": {MEDIA_TYPE: {"schema": {"$ref": REF.format(model="ProblemDetails")}}},
    }
    if status in {429, 503}:
        told["headers"] = RETRY_AFTER
    return told
