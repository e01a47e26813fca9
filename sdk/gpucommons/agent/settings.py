"""What the agent is told by its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """`url` of the portal, `token_file` with the run's own token; `server` is where the run's
    server listens ("unix:/path" or "host:port"), `activity` how it tells what it does."""

    url: str
    token_file: str
    workload: str
    server: str
    base_url: str
    activity: str
    app_token: str
    home: str

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """From the environment. Raises KeyError if the portal or the token is not named."""
        token_env = environ.get("GPUCOMMONS_AGENT_TOKEN_ENV", "")
        return cls(
            url=environ["GPUCOMMONS_URL"].rstrip("/"),
            token_file=environ["GPUCOMMONS_TOKEN_FILE"],
            workload=environ["GPUCOMMONS_WORKLOAD"],
            server=environ.get("GPUCOMMONS_AGENT_SERVER", ""),
            base_url=environ.get("GPUCOMMONS_AGENT_BASE_URL", "/"),
            activity=environ.get("GPUCOMMONS_AGENT_ACTIVITY", "none"),
            app_token=environ.get(token_env, "") if token_env else "",
            home=environ.get("HOME", os.path.expanduser("~")),
        )

    def token(self) -> str:
        """The run's token, read anew each time: it may be replaced. Raises OSError."""
        with open(self.token_file, encoding="utf-8") as file:
            return file.read().strip()
