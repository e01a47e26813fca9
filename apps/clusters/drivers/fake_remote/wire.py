"""The wire of the remote fake: one JSON object per line, a call and its answer.

A call is `{"call": name, ...arguments}`; an answer `{"ok": value}` or `{"error": {...}}`; `watch`
answers with a line per event. Both ends use the same types, nothing is shared but bytes.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from apps.clusters.drivers.base import (
    Capacity,
    CursorExpired,
    DriverError,
    Listing,
    LogChunk,
    Observation,
    OwnerSpec,
    WatchEvent,
    WorkloadRef,
    WorkloadSpec,
)

ARGUMENTS: dict[str, dict[str, TypeAdapter[Any]]] = {
    "apply": {"spec": TypeAdapter(WorkloadSpec)},
    "delete": {"ref": TypeAdapter(WorkloadRef), "grace_s": TypeAdapter(int)},
    "observe": {"ref": TypeAdapter(WorkloadRef)},
    "list_owned": {},
    "logs": {"ref": TypeAdapter(WorkloadRef), "since": TypeAdapter(int)},
    "capacity": {},
    "delete_home": {"home": TypeAdapter(str), "owner": TypeAdapter(OwnerSpec)},
    "exit": {
        "uid": TypeAdapter(str),
        "exit_code": TypeAdapter(int),
        "reason": TypeAdapter(str),
    },
    "reset": {},
    "turn": {"name": TypeAdapter(str), "value": TypeAdapter(Any)},
}
RESULTS: dict[str, TypeAdapter[Any]] = {
    "apply": TypeAdapter(Observation),
    "delete": TypeAdapter(Observation),
    "observe": TypeAdapter(Observation),
    "list_owned": TypeAdapter(Listing),
    "watch": TypeAdapter(WatchEvent),
    "logs": TypeAdapter(LogChunk),
    "capacity": TypeAdapter(Capacity),
    "delete_home": TypeAdapter(None),
    "exit": TypeAdapter(None),
    "reset": TypeAdapter(None),
    "turn": TypeAdapter(None),
}


def encode_result(call: str, value: object) -> bytes:
    """The line of a good answer."""
    return b'{"ok":' + RESULTS[call].dump_json(value) + b"}\n"


def encode_error(error: DriverError) -> bytes:
    """The line of a refusal."""
    content = {"message": error.message, "retryable": error.retryable, "code": error.code}
    return json.dumps({"error": content}).encode() + b"\n"


def decode_result(call: str, line: bytes) -> Any:
    """The value of an answer. Raises the `DriverError` that it carries."""
    answer = json.loads(line)
    if "error" in answer:
        error = answer["error"]
        if error["code"] == "cursor_expired":
            raise CursorExpired(error["message"])
        raise DriverError(error["message"], retryable=error["retryable"], code=error["code"])
    return RESULTS[call].validate_python(answer["ok"])
