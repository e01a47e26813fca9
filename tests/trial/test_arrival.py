"""`make up` refuses at once, before it installs anything, what cannot work."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.trial import locking
from deploy.trial.layout import CHECKOUT, Layout
from tests.stack import free_port

REFUSED = 2
AT_ONCE_S = 5


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", free_port()))
        server.listen(1)
        yield server.getsockname()[1]


def make_up(data: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    begun = time.monotonic()
    env = {"PATH": os.environ["PATH"], "HOME": str(data), "DATA": str(data), **variables}
    done = subprocess.run(
        ["make", "up"], cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False
    )
    assert time.monotonic() - begun < AT_ONCE_S
    return done


def test_a_taken_port_is_refused_and_its_owner_named(data: Path, taken_port: int) -> None:
    done = make_up(data, PORT=str(taken_port))
    assert done.returncode == REFUSED
    assert f"pid {os.getpid()}" in done.stderr
    assert "make up PORT=" in done.stderr
    assert done.stdout == ""


def test_a_second_one_for_the_same_data_is_refused(data: Path) -> None:
    layout = Layout(data=data, cache=data)
    layout.make()
    handle = locking.take(layout)
    assert handle is not None
    try:
        done = make_up(data, PORT=str(free_port()))
        assert done.returncode == REFUSED
        assert "in use by another `make up`" in done.stderr
    finally:
        os.close(handle)


@pytest.mark.parametrize(
    ("variables", "says"),
    [({"PORT": "no"}, "PORT=no is not a number"), ({"BIND": "0.0.0.0"}, "HOST=")],
)
def test_variables_that_cannot_be_meant_are_refused(
    data: Path, variables: dict[str, str], says: str
) -> None:
    done = make_up(data, **variables)
    assert done.returncode == REFUSED
    assert says in done.stderr


def test_down_without_anything_says_so(data: Path) -> None:
    done = subprocess.run(
        ["make", "down"],
        cwd=CHECKOUT,
        env={**os.environ, "DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "Nothing runs" in done.stderr
