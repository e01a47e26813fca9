"""Structured logs: one JSON object a line on standard error, whatever library it comes from."""

from __future__ import annotations

import logging
import logging.config
import os

import structlog

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
                    "processor": structlog.processors.JSONRenderer(),
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
