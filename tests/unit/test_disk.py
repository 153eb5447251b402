"""What the rest relies on when it makes names: they are there after a crash."""

from __future__ import annotations

from pathlib import Path

from engine.disk import Disk


class Noting(Disk):
    """A disk that notes which folders were synced, and whether what they were to name was there."""

    def __init__(self) -> None:
        self.synced: list[Path] = []

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        self.synced.append(folder)


def test_every_folder_that_is_made_has_its_name_on_disk(tmp_path: Path) -> None:
    disk = Noting()
    disk.make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    assert disk.synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


def test_one_that_is_there_is_synced_once_more_for_whoever_made_it_may_not_have_come_to_that(tmp_path: Path) -> None:
    disk = Noting()
    disk.make_folder(tmp_path)
    assert disk.synced == [tmp_path.parent]
