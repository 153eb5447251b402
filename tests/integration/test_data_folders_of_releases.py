"""Data folders that released versions have left behind open for ever: nothing is lost, and the story goes on in the
same bytes.

`tests/fixtures/data_folders/VERSION-HOW.tar.zst` holds a data folder of that version, `input.ndjson` with all records,
`accepted.txt` with how many of them it had accepted, and `expected.ndjson` with all events of an undisturbed run.
"""

from __future__ import annotations

import io
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


@pytest.mark.parametrize("path", FOLDERS, ids=lambda path: path.name)
@pytest.mark.parametrize("starts", [1, 3])
def test_it_goes_on_as_if_nothing_had_happened(tmp_path: Path, path: Path, starts: int) -> None:
    folder = unpacked(path, tmp_path / "data")
    lines = (folder / "input.ndjson").read_bytes().splitlines()
    expected = (folder / "expected.ndjson").read_bytes().splitlines()
    left = lines[int((folder / "accepted.txt").read_text()) :]
    for _ in range(starts - 1):
        told(folder, left, (0, True, RULES), keep_bytes=1 << 24)
    assert told(folder, left, (len(left), False, RULES), keep_bytes=1 << 24) == expected
    assert bodies(folder) == expected
