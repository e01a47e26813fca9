"""Specifications as they are kept: in JSON, without secrets. On the way in `services` writes them,
on the way out `reconcile` reads them and adds the secrets for the moment of the call."""

from __future__ import annotations

import dataclasses

from pydantic import TypeAdapter

from apps.accounts.services.tokens import workload_token
from apps.clusters.drivers.base import (
    SECRET_AGENT_TOKEN,
    SECRET_APP_TOKEN,
    WorkloadRef,
    WorkloadSpec,
)
from apps.clusters.models import Workload

_SPEC = TypeAdapter(WorkloadSpec)


def to_json(spec: WorkloadSpec) -> dict[str, object]:
    """What `Workload.spec` holds. Secrets never go into it."""
    whole = dataclasses.asdict(spec)
    del whole["secrets"]
    return whole


def spec_of(workload: Workload) -> WorkloadSpec:
    """The run's specification without secrets. Raises pydantic.ValidationError where the row holds
    something that this version cannot read."""
    return _SPEC.validate_python(workload.spec)


def spec_with_secrets(workload: Workload) -> WorkloadSpec:
    """The run's specification as a driver needs it. Keep it out of logs and the database."""
    secrets = (
        (SECRET_AGENT_TOKEN, workload_token(workload.uid)),
        (SECRET_APP_TOKEN, workload.app_token),
    )
    return dataclasses.replace(spec_of(workload), secrets=secrets)


def ref_of(workload: Workload) -> WorkloadRef:
    """Enough for a driver to find the run again."""
    owner = workload.spec.get("owner") or {}
    return WorkloadRef(uid=workload.uid, owner_uid=str(owner.get("uid", "")))
