"""The portal's role and database in a running PostgreSQL: made once, the password kept in step."""

import time

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from deploy.trial.postgres import Cluster, PostgresError

ROLE = "portal"


def is_accepting(cluster: Cluster) -> bool:
    """True when the server answers a query."""
    try:
        with psycopg.connect(make_conninfo(**cluster.conninfo()), connect_timeout=2) as connection:
            connection.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True


def wait_accepting(cluster: Cluster, timeout_s: float) -> None:
    """Return when the server answers; PostgresError after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not is_accepting(cluster):
        if time.monotonic() > deadline:
            raise PostgresError(f"PostgreSQL does not answer, see {cluster.log}")
        time.sleep(0.02)


def ensure_database(cluster: Cluster, password: str, may_create_databases: bool = False) -> None:
    """Make role and database `portal` and set the role's password. Idempotent."""
    role = sql.Identifier(ROLE)
    with psycopg.connect(make_conninfo(**cluster.conninfo()), autocommit=True) as connection:
        if not exists(connection, "select 1 from pg_roles where rolname = %s"):
            connection.execute(sql.SQL("create role {} login").format(role))
        connection.execute(
            sql.SQL("alter role {} password {} {}").format(
                role,
                sql.Literal(password),
                sql.SQL("createdb" if may_create_databases else "nocreatedb"),
            )
        )
        if not exists(connection, "select 1 from pg_database where datname = %s"):
            connection.execute(sql.SQL("create database {0} owner {0}").format(role))
            connection.execute(sql.SQL("revoke all on database {} from public").format(role))


def exists(connection: psycopg.Connection[tuple[object, ...]], query: str) -> bool:
    return connection.execute(query.encode(), (ROLE,)).fetchone() is not None
