"""The version of this portal; `pyproject.toml` holds the same."""

VERSION = "0.1.0"
