"""What is built, installed and loaded is what stands here."""

from __future__ import annotations

import importlib
import re
import sys
import sysconfig
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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


def test_the_policies_of_the_core_are_those_of_the_model() -> None:
    assert model.ELEMENT_VALUES["short_policy"] == importlib.import_module("ext.allocations").POLICIES


def test_what_runs_is_what_development_installs() -> None:
    wanted = set(requirements(ROOT / "requirements.in").values())
    project = PROJECT["project"]
    runtime = {*project["dependencies"], *project["optional-dependencies"]["sim"]}
    assert runtime <= wanted, f"not in requirements.in as in pyproject.toml: {sorted(runtime - wanted)}"
    building = {plain(name) for name in PROJECT["build-system"]["requires"]}
    assert building <= set(requirements(ROOT / "requirements.in"))


def locked() -> dict[str, str]:
    """name -> its lines, of requirements.lock."""
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return {plain(entry): entry for entry in entries if entry.strip()}


def test_everything_that_is_installed_is_pinned_with_its_hash() -> None:
    found = locked()
    for entry in found.values():
        first = entry.splitlines()[0]
        assert re.match(r"^[a-z0-9.-]+==\S+ ", first), first
        assert "--hash=sha256:" in entry, f"no hash: {first}"
    assert set(requirements(ROOT / "requirements.in")) <= set(found), "run `make lock`"


@pytest.mark.parametrize("python", ["3.11.0", "3.12.0", "3.13.0"])
def test_the_lock_is_whole_for_other_pythons_than_the_one_that_made_it(python: str) -> None:
    found = locked()
    world = {"python_full_version": python, "python_version": python.rpartition(".")[0], "extra": ""}
    for name in found:
        for each in map(Requirement, metadata.requires(name) or ()):
            if each.marker is None or each.marker.evaluate(world):
                assert plain(each.name) in found, f"{name} needs {each}: name it in requirements.in, `make lock`"


def test_a_figure_that_may_be_minus_one_is_no_exception() -> None:
    """`except -1` takes a figure of -1 for an exception that nobody raised, and gives back what is not there."""
    wrong = re.compile(r"int64_t \w+\([^()]*\) except -1")
    assert [path.name for path in files(".pyx", ".pxd") if wrong.search(path.read_text())] == []
