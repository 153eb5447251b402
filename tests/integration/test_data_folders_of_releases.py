"""Data folders that released versions have left behind open for ever: nothing is lost, and the story goes on. What such
a version had told stays in its bytes, and what is told from then on is told as this version would have all along.

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
        archive.extractall(folder, filter="data")
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
    released = (folder / "expected.ndjson").read_bytes().splitlines()
    left = lines[int((folder / "accepted.txt").read_text()) :]
    before = len(bodies(folder))
    assert before > 20
    for _ in range(starts - 1):
        told(folder, left, (0, True, RULES), keep_bytes=1 << 24)
    found = told(folder, left, (len(left), False, RULES), keep_bytes=1 << 24)
    now = undisturbed[path.name]
    assert found in [released[:at] + now[at:] for at in range(before, len(released) + 1)]
    assert len({json.loads(body)["id"] for body in found}) == len(found)
    assert bodies(folder) == found
