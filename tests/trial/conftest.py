"""A folder for a trial that is short enough to hold its own sockets."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def data() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gpc-")).resolve()
    yield folder
    shutil.rmtree(folder)
