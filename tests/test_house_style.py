"""Holds the tree to the house style: sizes, names, and nothing left open."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 50
MAX_PARAMETERS = 5
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}
OPEN_ENDS = re.compile(r"\b(?:TO" + "DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
TEXT = {".py", ".html", ".css", ".js", ".toml", ".md", ".sh", ".template", ".yaml", ".yml"}


def tracked() -> list[Path]:
    """Every file of the tree that git tracks and that is there."""
    listing = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [ROOT / name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


FILES = [path for path in tracked() if path.suffix in TEXT]
PYTHON = [path for path in FILES if path.suffix == ".py" and "migrations" not in path.parts]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_the_tree_is_seen() -> None:
    assert ROOT / "manage.py" in PYTHON


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_stay_small(path: Path) -> None:
    if path.suffix in {".py", ".html", ".css", ".js"}:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= MAX_FILE_LINES, f"{lines} lines: split it by subject"


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_functions_stay_small(path: Path) -> None:
    long = [
        f"{node.name} ({(node.end_lineno or 0) - node.lineno + 1} lines)"
        for node in functions(path)
        if (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert not long


@pytest.mark.parametrize(
    "path", [path for path in PYTHON if "tests" not in path.parts], ids=name_of
)
def test_functions_take_few_parameters(path: Path) -> None:
    greedy = [
        node.name
        for node in functions(path)
        if len([a for a in node.args.args + node.args.kwonlyargs if a.arg not in {"self", "cls"}])
        > MAX_PARAMETERS
        and not any("override" in ast.unparse(d) for d in node.decorator_list)
    ]
    assert not greedy, "past five parameters, use a dataclass"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_names_say_the_subject(path: Path) -> None:
    assert path.stem not in VAGUE
    assert not VAGUE & set(path.relative_to(ROOT).parts[:-1])


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_is_left_open(path: Path) -> None:
    found = OPEN_ENDS.search(path.read_text(encoding="utf-8"))
    assert found is None, found


def test_no_vendored_assets() -> None:
    assert not [name_of(path) for path in FILES if ".min." in path.name]
