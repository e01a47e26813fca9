"""Structured logs: one JSON object a line on standard error, whatever library it comes from."""

from __future__ import annotations

import logging
import logging.config
import os
import re
from collections.abc import Mapping

import structlog

#: What lets its bearer in: sign-in links (a long word in a path) and personal tokens.
SECRET = re.compile(r"(/|%2F)[A-Za-z0-9_-]{30,}|(gpc_)[A-Za-z0-9_-]{20,}", re.IGNORECASE)


def mask(value: object) -> object:
    """The same without secrets, in whatever depth of lists and mappings they are."""
    if isinstance(value, str):
        return SECRET.sub(lambda found: f"{found[1] or found[2]}***", value)
    if isinstance(value, Mapping):
        return {key: mask(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [mask(held) for held in value]
    return value


def mask_secrets(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """A processor: long words of paths and tokens become `***` in every event."""
    return {key: mask(value) for key, value in event.items()}


SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
]


def configure_logging() -> None:
    """Send the standard library's and structlog's records through one chain of processors.
    `PORTAL_LOG_LEVEL` (default INFO) says from which level on."""
    level = os.environ.get("PORTAL_LOG_LEVEL", "INFO").upper()
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        mask_secrets,
                        # What is no JSON is masked, too, once it is text.
                        structlog.processors.JSONRenderer(default=lambda value: mask(repr(value))),
                    ],
                    "foreign_pre_chain": SHARED,
                },
            },
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "formatter": "json"},
            },
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {"django.request": {"level": "ERROR"}},
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
