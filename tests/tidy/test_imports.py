"""The compiled modules import nothing that they do not use: ruff sees to that in Python, and nobody did in Cython."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT, files

IMPORT = re.compile(r"^(?:from \S+ )?c?import (\([^)]*\)|[^\n]*)\n", re.MULTILINE)
COMPILED = files(".pyx", ".pxd")


def code_of(path: Path) -> str:
    """Without imports and comments; empty where there is no such file."""
    return re.sub(r"#.*", "", IMPORT.sub("", path.read_text())) if path.exists() else ""


def imported(path: Path) -> list[str]:
    """The names that are there by it: `b` of `import a as b`, `a` of `import a.b`."""
    lists = IMPORT.findall(path.read_text())
    return [
        re.sub(r".* as ", "", name.strip()).partition(".")[0]
        for names in lists
        for name in re.split(r"[,\n]", names.strip("()"))
        if name.strip()
    ]


@pytest.mark.parametrize("path", COMPILED, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_imported_is_used(path: Path) -> None:
    """What a `.pxd` imports is there in the `.pyx` beside it, too."""
    code = code_of(path) + (code_of(path.with_suffix(".pyx")) if path.suffix == ".pxd" else "")
    assert [name for name in imported(path) if not re.search(rf"\b{re.escape(name)}\b", code)] == []
