"""Every setting that an installation may give, typed, in one place.

Read once at boot by `portal.settings.base`; a missing or malformed value ends the process with its
name. Any `PORTAL_X` may instead be a file named by `PORTAL_X_FILE` (Docker and Kubernetes secrets).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PREFIX = "PORTAL_"


class FileSource(EnvSettingsSource):
    """`PORTAL_X_FILE=/run/secrets/x` stands for `PORTAL_X=<content of that file, stripped>`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        if path is None:
            return None, field_name, False
        return Path(path).read_text(encoding="utf-8").strip(), field_name, False


class Environment(BaseSettings):
    """What the environment says. Times in seconds (`_s`), money per hour."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore")

    secret_key: SecretStr = Field(min_length=32)
    gate_key: SecretStr = Field(min_length=32)
    database_url: SecretStr
    broker_url: str
    channel_url: str
    url: str = "http://localhost:8000"
    workspace_url_template: str = ""
    data_dir: Path = Path("var")
    run_dir: Path | None = None
    environments_dir: Path | None = None
    static_dir: Path | None = None
    processes: str = ""
    trusted: bool = False
    allowed_hosts: str = ""
    metrics_allow: str = "127.0.0.1,::1"
    currency: str = "EUR"

    idle_stop_s: int = Field(default=2 * 3600, ge=0)
    max_lifetime_s: int = Field(default=24 * 3600, ge=60)
    max_running_per_person: int = Field(default=3, ge=0)
    delete_grace_s: int = Field(default=7 * 86400, ge=0)
    sim_gpus: str = ""

    @field_validator("url")
    @classmethod
    def url_has_no_slash(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/")

    @field_validator("workspace_url_template")
    @classmethod
    def template_names_the_uid(cls, value: str) -> str:
        value = value.replace("<uid>", "{uid}")
        if value and ("{uid}" not in value or not value.endswith("/")):
            raise ValueError("must contain {uid} and end in /")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, FileSource(settings_cls), env_settings

    @property
    def sim_gpu_slots(self) -> dict[str, int]:
        """`bronze:2,silver:1` as a mapping of GPU tier to count."""
        pairs = (part.split(":", 1) for part in self.sim_gpus.split(",") if part)
        return {tier.strip(): int(count) for tier, count in pairs}


def read_environment() -> Environment:
    """The environment, or the end of the process with every name that is missing or malformed."""
    try:
        return Environment()
    except ValidationError as error:
        lines = [
            f"  {PREFIX}{'.'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in error.errors(include_input=False)
        ]
        raise SystemExit(
            "The settings are not complete. Set these (or NAME_FILE, a file with the value):\n"
            + "\n".join(lines)
        ) from None
