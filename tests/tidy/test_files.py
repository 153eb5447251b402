"""What a reader may rely on in every file: size, names, docstrings, and nothing of the place where it was written."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.tidy.sources import CODE, PACKAGES, ROOT, files, tracked, tree

LINES_MAX = 500
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "misc", "tools"}
# put together here, so that this file does not hold them itself
FORBIDDEN_TEXT = re.compile(
    "|".join(("/" + "work/", "/" + "scratch/", r"\b(?:TO" + r"DO|FIX" + r"ME|HA" + r"CK)\b", r"\b[Ii]ssue" + r" #?\d"))
)
LIBRARY_TRACKERS = re.compile(r"https?://\S+")  # an issue of somebody else's, by its address
PYTHON = files(".py")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", files(".py", ".pyx", ".pxd", ".pyi"), ids=named)
def test_a_file_is_not_too_long(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= LINES_MAX, f"{lines} lines: what are its two subjects?"


def test_no_module_is_a_drawer() -> None:
    drawers = [path for path in files(".py", ".pyx") if FORBIDDEN_NAMES & set(path.with_suffix("").parts[-2:])]
    assert not drawers


@pytest.mark.parametrize("path", PYTHON, ids=named)
def test_a_module_says_what_it_is(path: Path) -> None:
    empty = path.name == "__init__.py" and not tree(path).body
    assert ast.get_docstring(tree(path)) or (empty and path.is_relative_to(ROOT / "tests")), "no docstring"


@pytest.mark.parametrize("path", files(".py", folders=PACKAGES), ids=named)
def test_no_exception_is_caught_blindly(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ExceptHandler):
            where = f"line {node.lineno}"
            assert node.type is not None, f"bare except, {where}"
            caught = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)}
            assert not caught & {"Exception", "BaseException"} or _kept(node), f"swallows {caught}, {where}"


def _kept(handler: ast.ExceptHandler) -> bool:
    """Whether the handler raises, passes the exception on, or writes it down with where it came from."""
    inside = [node for statement in handler.body for node in ast.walk(statement)]
    raised = any(isinstance(node, ast.Raise) for node in inside)
    used = any(isinstance(node, ast.Name) and node.id == handler.name for node in inside)
    logged = any(isinstance(node, ast.Attribute) and node.attr in ("exception", "print_exc") for node in inside)
    return raised or used or logged


@pytest.mark.parametrize("path", tracked(), ids=named)
def test_a_file_stands_alone(path: Path) -> None:
    if path.name in ("requirements.lock", "LICENSE", "package-lock.json"):
        return
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return
    found = FORBIDDEN_TEXT.search(LIBRARY_TRACKERS.sub("", text))
    assert found is None, f"{found.group()!r} in line {text.count(chr(10), 0, found.start()) + 1}"


def test_a_python_test_is_found_by_its_name() -> None:
    odd = [
        named(path)
        for path in files(".py", folders=("tests",))
        if not path.name.startswith("test_") and re.search(r"^def test_", path.read_text(), re.MULTILINE)
    ]
    assert not odd


def test_every_package_is_packed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packed = set(project["tool"]["setuptools"]["packages"])
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in files(".py", folders=PACKAGES)}
    assert there == packed


def test_every_folder_of_code_is_a_package() -> None:
    missing = [
        named(folder)
        for folder in {path.parent for path in files(".py", folders=CODE)}
        if not (folder / "__init__.py").exists()
    ]
    assert not missing
