"""A start on a data folder of which a database was deleted: it goes on, and says what went with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.test_app import delivered, lines_protocol, picks, queued, run, site
from tests.integration.test_data_folders_of_releases import FOLDERS, unpacked

__all__ = ["lines_protocol"]


def lost_and_run(folder: Path, *names: str, empty: bool = False) -> None:
    """A life of two events, without these files afterwards, or their content, and another of one event."""
    run(site(folder, one=f'file = "{picks(folder, "one", "T-1", "T-2")}"'), delivered(2))
    for name in names:
        (folder / "data" / name).unlink()
        if empty:
            (folder / "data" / name).touch()
    run(site(folder, two=f'file = "{picks(folder, "two", "T-3")}"'), delivered(1))


@pytest.mark.parametrize("empty", [False, True])
def test_a_queue_that_is_gone_is_missed(tmp_path: Path, caplog: pytest.LogCaptureFixture, empty: bool) -> None:
    lost_and_run(tmp_path, "queue.sqlite", empty=empty)
    assert [event["subject"] for event in queued(tmp_path)] == ["task/T-3"]
    (said,) = [record for record in caplog.records if "is not there" in record.getMessage()]
    assert said.levelname == "ERROR"
    path = tmp_path / "data" / "queue.sqlite"
    assert f"{path}: is not there, or empty: with it went what sink queue had of 2" in caplog.text
    assert "The journal still makes them: sortline journal refill SITE.toml --sink queue" in caplog.text


@pytest.mark.parametrize("empty", [False, True])
def test_dead_letters_that_are_gone_are_missed(tmp_path: Path, caplog: pytest.LogCaptureFixture, empty: bool) -> None:
    lost_and_run(tmp_path, "dead.sqlite", empty=empty)
    assert len(queued(tmp_path)) == 3
    (said,) = [record for record in caplog.records if "is not there" in record.getMessage()]
    assert said.levelname == "WARNING", "none was of an event"
    path = tmp_path / "data" / "dead.sqlite"
    assert f"{path}: is not there, or empty: the dead letters that it had are gone" in caplog.text


@pytest.mark.parametrize("released", FOLDERS, ids=lambda path: path.name)
def test_a_folder_of_the_first_release_never_had_dead_letters(
    tmp_path: Path, released: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It was told that they are gone. From then on it has some."""
    unpacked(released, tmp_path / "data")
    path = site(tmp_path)
    run(path, lambda engine: engine.metrics.sink("queue").state == "up")
    assert "is not there" not in caplog.text
    (tmp_path / "data" / "dead.sqlite").unlink()
    run(path, lambda engine: engine.metrics.sink("queue").state == "up")
    assert "dead.sqlite: is not there, or empty: the dead letters that it had are gone" in caplog.text


def test_a_folder_that_is_new_or_whole_misses_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lost_and_run(tmp_path)
    assert "is not there" not in caplog.text
