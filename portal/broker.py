"""Asking the broker how it is, with a time limit of our own. Never used to send anything."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import redis
from django.conf import settings

QUEUE = "celery"


def client(timeout_s: float) -> redis.Redis:
    """A connection to the broker that gives up after `timeout_s`; connects on first use."""
    return redis.Redis.from_url(
        _url(), socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=None
    )


def _url() -> str:
    """Celery's way of naming a socket is not redis-py's."""
    url = urlsplit(settings.CELERY_BROKER_URL)
    if url.scheme != "redis+socket":
        return str(settings.CELERY_BROKER_URL)
    number = parse_qs(url.query).get("virtual_host", ["0"])[0]
    return f"unix://{url.path}?db={number}"


def ping(timeout_s: float) -> None:
    """Raise redis.RedisError unless the broker answers in time."""
    with client(timeout_s) as broker:
        broker.ping()


def queue_length(timeout_s: float) -> int | None:
    """How many messages wait, or None if the broker does not say."""
    try:
        with client(timeout_s) as broker:
            return int(broker.llen(QUEUE))
    except redis.RedisError:
        return None
