"""Data folders that released versions have left behind open for ever: nothing is lost, and the story goes on. What such
a version had told stays in its bytes, and what is told from then on is what this version would have told all along.

`tests/fixtures/data_folders/VERSION-HOW.tar.zst` holds a data folder of that version, `input.ndjson` with all records,
`accepted.txt` with how many of them it had accepted, and `expected.ndjson` with all events of an undisturbed run of it.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
import zstandard

from tests.integration.test_pipeline import RULES
from tests.integration.test_restarts import bodies, told

FOLDERS = sorted((Path(__file__).parents[1] / "fixtures" / "data_folders").glob("*.tar.zst"))


def unpacked(path: Path, folder: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(zstandard.decompress(path.read_bytes(), 1 << 26))) as archive:
        # as `filter="data"`, which Python 3.11.3 and older do not know
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)
    return folder


def test_there_are_some() -> None:
    assert {path.name for path in FOLDERS} >= {"0.1.0-stopped.tar.zst", "0.1.0-killed.tar.zst"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """By folder: all events of a run of this version over all records."""
    found = {}
    for path in FOLDERS:
        folder = unpacked(path, tmp_path_factory.mktemp("released") / "data")
        lines = (folder / "input.ndjson").read_bytes().splitlines()
        found[path.name] = told(tmp_path_factory.mktemp("undisturbed"), lines, (len(lines), False, RULES))
    return found


@pytest.mark.parametrize("path", FOLDERS, ids=lambda path: path.name)
@pytest.mark.parametrize("starts", [1, 3])
def test_it_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, path: Path, starts: int, undisturbed: dict[str, list[bytes]]
) -> None:
    folder = unpacked(path, tmp_path / "data")
    lines = (folder / "input.ndjson").read_bytes().splitlines()
    left = lines[int((folder / "accepted.txt").read_text()) :]
    before = bodies(folder)
    assert len(before) > 20
    for _ in range(starts - 1):
        told(folder, left, (0, True, RULES), keep_bytes=1 << 24)
    found = told(folder, left, (len(left), False, RULES), keep_bytes=1 << 24)
    assert found[: len(before)] == before
    assert sequences(found) == sorted(set(sequences(found)))
    assert len(by_id(found)) == len(found)
    assert by_id(found) == by_id(undisturbed[path.name]) | by_id(before)
    assert bodies(folder) == found


def sequences(events: list[bytes]) -> list[str]:
    return [json.loads(body)["sequence"] for body in events]


def by_id(events: list[bytes]) -> dict[str, dict[str, object]]:
    """What each says, without its place."""
    return {event["id"]: {**event, "sequence": None} for event in map(json.loads, events)}
