"""A folder that a newer version of the program has worked on."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import Missing, Refused
from engine.snapshots import HEAD, MAGIC, VERSION
from tests.integration.test_pipeline import RULES
from tests.integration.test_restarts import LINES, told

NEWER = VERSION ^ 6  # more than a flipped bit


def made_newer(folder: Path) -> list[Path]:
    """Its snapshots, as if a newer version had written them."""
    paths = sorted((folder / "snapshots").glob("*.snapshot"))
    for path in paths:
        content = path.read_bytes()
        length = HEAD.unpack_from(content)[2]
        path.write_bytes(HEAD.pack(MAGIC, NEWER, length) + content[HEAD.size :])
    return paths


def test_snapshots_of_a_newer_version_are_not_given_up_for_a_journal_without_its_beginning(tmp_path: Path) -> None:
    """The newer one could go on from them: no start goes on without by itself, and nothing is put aside."""
    told(tmp_path, LINES, (250, False, RULES))
    paths = made_newer(tmp_path)
    assert len(paths) == 2
    with pytest.raises(Refused, match=f"it is of version {NEWER}, this program reads {VERSION}") as refused:
        told(tmp_path, LINES, (0, False, RULES))
    assert not isinstance(refused.value, Missing)
    assert sorted((tmp_path / "snapshots").iterdir()) == paths
