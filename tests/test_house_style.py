"""Holds the tree to the house style: sizes, names, and nothing left open."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

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


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [each.arg for each in node.args.args + node.args.kwonlyargs]
    return len([name for name in names if name not in {"self", "cls"}])


def test_the_tree_is_seen() -> None:
    assert ROOT / "manage.py" in PYTHON


def test_files_stay_small() -> None:
    counted = [path for path in FILES if path.suffix in {".py", ".html", ".css", ".js"}]
    lines = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in counted}
    assert not {name: count for name, count in lines.items() if count > MAX_FILE_LINES}


def test_functions_stay_small() -> None:
    long = [
        f"{name_of(path)}:{node.lineno} {node.name} ({length(node)} lines)"
        for path in PYTHON
        for node in functions(path)
        if length(node) > MAX_FUNCTION_LINES
    ]
    assert not long


def test_functions_take_few_parameters() -> None:
    greedy = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in PYTHON
        if "tests" not in path.parts
        for node in functions(path)
        if parameters(node) > MAX_PARAMETERS
        and not any("override" in ast.unparse(each) for each in node.decorator_list)
    ]
    assert not greedy, "past five parameters, use a dataclass"


def test_names_say_the_subject() -> None:
    parts = {name_of(path): {path.stem, *path.relative_to(ROOT).parts[:-1]} for path in FILES}
    assert not [name for name, words in parts.items() if VAGUE & words]


def test_nothing_is_left_open() -> None:
    assert not [name_of(path) for path in FILES if OPEN_ENDS.search(path.read_text("utf-8"))]


def test_no_vendored_assets() -> None:
    assert not [name_of(path) for path in FILES if ".min." in path.name]
