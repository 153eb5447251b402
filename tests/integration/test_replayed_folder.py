"""`sortline replay DATA_DIR`: the events that the engine told, byte by byte, whatever its rules were; it says which."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli import main
from engine.rule_book import RuleSet
from tests.integration.test_pipeline import RULES
from tests.integration.test_restarts import CHANGED, LINES, told

ENDS = [(150, CHANGED), (230, RULES), (len(LINES), CHANGED)]
SITE = 'site = "dc1"\n[rules]\nshort_on_close = true\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    """One in which the rules changed twice, and what was told."""
    data = tmp_path_factory.mktemp("folder")
    return data, told(data, LINES, *((end, False, rules) for end, rules in ENDS), keep_bytes=1 << 24)


def replayed(source: Path, out: Path, *options: str) -> list[bytes]:
    assert main(["replay", str(source), "--out", str(out), *options]) == 0
    return out.read_bytes().splitlines()


def test_each_record_is_decided_on_by_the_rules_of_its_time(
    folder: tuple[Path, list[bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, expected = folder
    assert replayed(data, tmp_path / "out.ndjson")[: len(expected)] == expected
    said = capsys.readouterr().err
    assert 'by the rules of the engine, site "dc1": disorder_ms = 500, short_on_close = True, dc1/sorter\n' in said
    assert "from record 151 on disorder_ms, short_on_close, dc1/sorter changed" in said
    assert "from record 231 on disorder_ms, short_on_close, dc1/sorter changed" in said


def test_a_site_file_goes_before_and_that_is_said(
    folder: tuple[Path, list[bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, expected = folder
    (tmp_path / "site.toml").write_text(SITE)
    found = replayed(data, tmp_path / "out.ndjson", "--config", str(tmp_path / "site.toml"))
    assert found[: len(expected)] != expected
    assert "the engine began with others: disorder_ms, dc1/sorter\n" in capsys.readouterr().err


@pytest.mark.parametrize("flipped", [True, False])
def test_rules_that_the_disk_has_damaged_are_known_all_the_same(
    tmp_path: Path, flipped: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flipped bit is turned back; what is worse, the snapshot knows. Nothing is changed for it."""
    data = tmp_path / "data"
    only = RuleSet("dc1", {"short_on_close": True})
    expected = told(data, LINES, (len(LINES), False, only), keep_bytes=1 << 24)
    book = data / "rules.json"
    content = bytearray(book.read_bytes())
    content[100] ^= 4
    book.write_bytes(content if flipped else content[:100])
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert replayed(data, tmp_path / "out.ndjson")[: len(expected)] == expected
    assert before == {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    said = capsys.readouterr().err
    assert ("a flipped bit" if flipped else "rules.json is damaged") in said
    assert "short_on_close = True" in said
