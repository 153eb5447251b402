"""Every rule has a golden case, and every trap of the rules' section 13 a case or a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.index import INDEX, RULES, index, rule_of
from tests.cases.make import abouts
from tests.cases.traps import TRAPS
from tests.tidy.sources import ROOT

CASES = ROOT / "tests" / "cases"
FOLDERS = sorted(path.name for path in CASES.iterdir() if (path / "input.ndjson").exists())


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_a_case(rule: str) -> None:
    assert any(rule_of(name) == rule for name in FOLDERS)


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_has_a_case(trap: str) -> None:
    file, _, name = TRAPS[trap].partition(":")
    if name:
        assert f"def {name}(" in (ROOT / file).read_text()
    else:
        assert file in FOLDERS


@pytest.mark.parametrize("name", FOLDERS)
def test_a_case_says_what_it_shows(name: str) -> None:
    about = (CASES / name / "about.txt").read_text().strip()
    assert len(about) > 10 and about[-1] in ".:)"
    assert Path(CASES / name / "expected.ndjson").exists()


def test_the_index_names_every_case() -> None:
    assert INDEX.read_text() == index(abouts()), "python -m tests.cases.make"
