"""What is built, installed and loaded is what stands here."""

from __future__ import annotations

import importlib
import re
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from engine import model
from tests.tidy.sources import ROOT, files

COMPILED = sorted(path.stem for path in (ROOT / "ext").glob("*.pyx"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(\[[a-z,]+\])?")


@pytest.mark.parametrize("name", COMPILED)
def test_the_compiled_module_is_the_one_that_is_loaded(name: str) -> None:
    module = importlib.import_module(f"ext.{name}")
    assert module.__file__ is not None
    assert module.__file__.endswith(sysconfig.get_config_var("EXT_SUFFIX"))
    assert Path(module.__file__).parent == ROOT / "ext"


@pytest.mark.parametrize("name", COMPILED)
def test_the_compiled_module_is_not_older_than_its_source(name: str) -> None:
    built = ROOT / "ext" / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    generated = ROOT / "ext" / f"{name}.c"
    if not generated.exists():
        pytest.skip("installed without its sources' translation")
    assert built.stat().st_mtime >= (ROOT / "ext" / f"{name}.pyx").stat().st_mtime, "run `make build`"


def test_nothing_is_compiled_while_it_is_imported() -> None:
    importlib.import_module("ext.core")
    assert "pyximport" not in sys.modules
    assert not [path for path in files(".py", ".pyx") if re.search(r"^\s*import pyximport", path.read_text(), re.M)]


def test_the_kinds_of_the_core_are_those_of_the_model() -> None:
    kinds = importlib.import_module("ext.kinds")
    assert list(model.KINDS) == list(kinds.NAMES[1:])
    assert kinds.NAMES[0] == "unknown"


def requirements(path: Path) -> dict[str, str]:
    """name -> the line, of a requirements file."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    wanted = [line for line in lines if line and not line.startswith(("#", "--"))]
    return {plain(line): line for line in wanted}


def plain(requirement: str) -> str:
    match = REQUIREMENT.match(requirement)
    assert match is not None, requirement
    return re.sub(r"[-_.]+", "-", match.group(1)).lower()


def test_what_runs_is_what_development_installs() -> None:
    wanted = set(requirements(ROOT / "requirements.in").values())
    project = PROJECT["project"]
    runtime = {*project["dependencies"], *project["optional-dependencies"]["sim"]}
    assert runtime <= wanted, f"not in requirements.in as in pyproject.toml: {sorted(runtime - wanted)}"
    building = {plain(name) for name in PROJECT["build-system"]["requires"]}
    assert building <= set(requirements(ROOT / "requirements.in"))


def test_everything_that_is_installed_is_pinned_with_its_hash() -> None:
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    entries = [entry for entry in entries if entry.strip()]
    for entry in entries:
        first = entry.splitlines()[0]
        assert re.match(r"^[a-z0-9.-]+==\S+ ", first), first
        assert "--hash=sha256:" in entry, f"no hash: {first}"
    locked = {plain(entry) for entry in entries}
    assert set(requirements(ROOT / "requirements.in")) <= locked, "run `make lock`"
