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


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_file_is_too_long() -> None:
    """One that is: what are its two subjects?"""
    lines = {named(path): path.read_text().count("\n") for path in files(".py", ".pyx", ".pxd", ".pyi")}
    assert not {name: count for name, count in lines.items() if count > LINES_MAX}


def test_no_module_is_a_drawer() -> None:
    drawers = [path for path in files(".py", ".pyx") if FORBIDDEN_NAMES & set(path.with_suffix("").parts[-2:])]
    assert not drawers


def test_every_module_says_what_it_is() -> None:
    silent = [path for path in files(".py") if not ast.get_docstring(tree(path))]
    assert not [named(path) for path in silent if not (_is_empty_package(path) and path.is_relative_to(ROOT / "tests"))]


def _is_empty_package(path: Path) -> bool:
    return path.name == "__init__.py" and not tree(path).body


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


def test_every_file_stands_alone() -> None:
    found = {named(path): said for path in tracked() if (said := _says_where_it_was_written(path))}
    assert not found


def _says_where_it_was_written(path: Path) -> str | None:
    if path.name in ("requirements.lock", "LICENSE", "package-lock.json"):
        return None
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return None
    found = FORBIDDEN_TEXT.search(LIBRARY_TRACKERS.sub("", text))
    return f"{found.group()!r} in line {text.count(chr(10), 0, found.start()) + 1}" if found else None


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
