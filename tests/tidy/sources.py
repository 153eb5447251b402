"""The project's own files, as the tidy tests read them."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("engine", "protocols", "ext", "simulators", "bench")
CODE = (*PACKAGES, "tests")

_CIMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import\s+\(?\s*([\w, ]*)|c?import\s+([\w.]+))", re.MULTILINE)


def files(*endings: str, folders: tuple[str, ...] = CODE) -> list[Path]:
    """Files of these folders with these endings (`.py`), made ones and caches left out."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in endings]
    return sorted(path for path in found if not {"__pycache__", "node_modules"} & set(path.parts))


def tracked() -> list[Path]:
    """Every file that is handed on: what git knows, or in a tree without git everything but what is made."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return files(".py", ".pyx", ".pxd", ".pyi", ".toml", ".md")
    return [path for name in done.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def module_name(path: Path) -> str:
    """`engine.sinks.queue` for engine/sinks/queue.py, `engine` for engine/__init__.py."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@cache
def modules() -> frozenset[str]:
    """All modules of ours, packages included."""
    return frozenset(module_name(path) for path in files(".py", ".pyx"))


def imports(path: Path) -> set[str]:
    """Modules of ours that the file imports, cimports of Cython included, wherever in the file that happens."""
    if path.suffix == ".py":
        names = {name for node in ast.walk(tree(path)) for name in _names(node)}
    else:
        names = set(_cython_names(path.read_text()))
    return {ours for name in names if (ours := _ours(name)) is not None} - {module_name(path)}


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"relative import: {ast.unparse(node)}"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _cython_names(text: str) -> Iterator[str]:
    for module, names, plain in _CIMPORT.findall(text):
        if plain:
            yield plain
        yield from (f"{module}.{name.split(' as ')[0].strip()}" for name in names.split(",") if module)


def _ours(name: str) -> str | None:
    """The module that an imported name stands in: `engine.model.KINDS` is in `engine.model`."""
    while name:
        if name in modules():
            return name
        name = name.rpartition(".")[0]
    return None
