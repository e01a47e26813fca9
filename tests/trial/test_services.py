"""The servers that every other test relies on are real and reachable."""

import os

import psycopg
import redis


def test_postgres_answers_the_portal_role() -> None:
    with psycopg.connect(os.environ["PORTAL_DATABASE_URL"]) as connection:
        row = connection.execute("select current_user, current_setting('listen_addresses')")
        assert row.fetchone() == ("portal", "")


def test_valkey_answers_on_its_socket() -> None:
    client = redis.Redis.from_url(os.environ["PORTAL_CHANNEL_URL"])
    try:
        assert client.ping()
    finally:
        client.close()
