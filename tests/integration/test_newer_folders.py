"""A folder that a newer version of the program has worked on is refused as it is, and goes on under that version."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import newer, passed_over, rule_book, shed_gaps
from engine.cli import main
from engine.errors import Missing, Newer, Refused
from engine.segments import HEADER, PACKED, SUFFIX, pack, unpack
from engine.snapshots import HEAD, MAGIC, VERSION
from engine.sqlite_log import LOG
from engine.whole_file import sealed
from ext import frames
from tests.integration.test_app import delivered, lines_protocol, picks, run, site
from tests.integration.test_pipeline import RULES
from tests.integration.test_restarts import LINES, told

__all__ = ["lines_protocol"]

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


# Everything else of which the version counts, as a start would meet it.


def small(name: str, version: bytes, number: int, *, body: bool) -> Callable[[Path], None]:
    """body: its digest is that of the body alone, as ours is; a later version's covers more."""

    def write(data: Path) -> None:
        content = sealed(b"%b-%d" % (version.rpartition(b"-")[0], number), b"[]")
        (data / name).write_bytes(content if body else content.replace(b"\n", b"\nmore\n", 1))

    return write


def database(name: str, *, killed: bool) -> Callable[[Path], None]:
    """killed: the newer program has not come to writing its log into the file."""

    def write(data: Path) -> None:
        path = data / name
        file = sqlite3.connect(path, isolation_level=None)
        file.execute("PRAGMA wal_autocheckpoint = 0")
        file.execute("BEGIN")
        file.execute("CREATE TABLE of_the_future (x)")
        file.execute("PRAGMA user_version = 9")
        file.execute(f"PRAGMA application_id = {0x534C0909}")
        file.execute("COMMIT")
        left = {beside: path.with_name(name + beside).read_bytes() for beside in ("", LOG)}
        file.close()
        for beside, content in left.items() if killed else ():
            path.with_name(name + beside).write_bytes(content)
        assert (path.read_bytes()[60:64] == struct.pack(">I", 9)) is not killed

    return write


def last_segment(data: Path) -> None:
    """With frames that look like ours."""
    path = max((data / "journal").glob(f"*{SUFFIX}"))
    path.write_bytes(future(path.read_bytes()))


def first_segment_packed(data: Path) -> None:
    """Nothing that a start reads: snapshots stand for it."""
    path = min((data / "journal").glob("*.journal*"))
    content = path.read_bytes()
    path.unlink()
    whole = unpack(content).data if path.name.endswith(PACKED) else content
    path.with_name(f"{path.name.partition('.')[0]}{PACKED}").write_bytes(pack(future(whole)))


def segment_without_anything(data: Path) -> None:
    max((data / "journal").glob(f"*{SUFFIX}")).write_bytes(b"sortjrnl" + struct.pack("<I", 9))


def future(content: bytes) -> bytes:
    """Of version 3, whole."""
    magic, _, *rest = HEADER.unpack_from(content)
    head = HEADER.pack(magic, 3, *rest)
    return head + struct.pack("<I", frames.crc32c(head)) + content[len(head) + 4 :]


FUTURES: dict[str, tuple[Callable[[Path], None], str]] = {
    "what was shed": (small(shed_gaps.NAME, shed_gaps.VERSION, 2, body=True), "shed.json: is of version 2"),
    "more of what was shed": (small(shed_gaps.NAME, shed_gaps.VERSION, 3, body=False), "shed.json: is of version 3"),
    "what is passed over": (
        small(passed_over.NAME, passed_over.VERSION, 12, body=True),
        "passed_over.json: is of version 12",
    ),
    "the rules": (small("rules.json", rule_book.VERSION, 2, body=True), "rules.json: is of version 2"),
    "the outbox": (database("outbox.sqlite", killed=False), "outbox.sqlite: is of version 9"),
    "the outbox's log": (database("outbox.sqlite", killed=True), "outbox.sqlite: is of version 9"),
    "dead letters": (database("dead.sqlite", killed=False), "dead.sqlite: is of version 9"),
    "the dead letters' log": (database("dead.sqlite", killed=True), "dead.sqlite: is of version 9"),
    "a queue": (database("queue.sqlite", killed=False), "queue.sqlite: is of version 9"),
    "a queue's log": (database("queue.sqlite", killed=True), "queue.sqlite: is of version 9"),
    "a segment": (last_segment, "journal: is of version 3, this program reads 2"),
    "a segment that is packed": (first_segment_packed, "00000001.journal.zst: is of version 3, this program reads 2"),
    "a segment of another kind": (segment_without_anything, "journal: is of version 9, this program reads 2"),
}


def left_by_two_lives(folder: Path) -> Path:
    """The site file; in its data folder everything that has a version."""
    for name in ("one", "two"):
        path = site(folder, **{name: f'file = "{picks(folder, name, f"T-{name}")}"'})
        run(path, delivered(1))
    return path


def whole(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """All that stands in it, byte for byte, and when each file was written."""
    return {
        str(path.relative_to(folder)): (
            (found := path.stat()).st_mtime_ns,
            found.st_ino,
            b"" if path.is_dir() else path.read_bytes(),
        )
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("what", FUTURES)
def test_a_start_on_a_newer_folder_is_refused_and_touches_nothing(
    tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = left_by_two_lives(tmp_path)
    data = tmp_path / "data"
    write, said = FUTURES[what]
    write(data)
    # what a start would put in order before it came to the newer file
    (data / "journal" / "00000009.journal.zst.new").write_bytes(b"cut short")
    (data / "outbox.sqlite-shm").unlink(missing_ok=True)
    before = whole(data)
    assert main(["run", str(path), "--seconds", "1", "--plain"]) == 1
    assert whole(data) == before
    told_why = capsys.readouterr().err
    assert f"{said}" in told_why
    assert "start the newer one" in told_why
    assert main(["journal", "refill", str(path), "--sink", "queue", "--yes"]) == 1
    assert said in capsys.readouterr().err
    assert whole(data) == before
    if "queue.sqlite" not in said:  # which a repair leaves to its readers
        for options in ([], ["--repair"]):
            assert main(["fsck", *options, str(data)]) == 1
            assert said in capsys.readouterr().err
            assert whole(data) == before


def test_the_next_start_of_the_newer_version_finds_everything(tmp_path: Path) -> None:
    """As this one does, when what was newer is as it was."""
    path = left_by_two_lives(tmp_path)
    data = tmp_path / "data"
    for write, _ in FUTURES.values():
        kept = shutil.copytree(data, tmp_path / "kept")
        write(data)
        assert main(["run", str(path), "--seconds", "1", "--plain"]) == 1
        shutil.rmtree(data)
        kept.rename(data)
    found, _ = run(path, lambda engine: bool(engine.metrics.sink("queue").state))
    assert found.metrics.replayed == 0
    assert not list(data.rglob("*.bad"))


def test_damage_is_nobodys_version(tmp_path: Path) -> None:
    """A flipped bit anywhere in front of what says the version is none: a start puts it in order."""
    left_by_two_lives(tmp_path)
    data = tmp_path / "data"
    (data / shed_gaps.NAME).write_bytes(sealed(shed_gaps.VERSION, b"{}"))
    (data / passed_over.NAME).write_bytes(sealed(passed_over.VERSION, b"[]"))
    segments = sorted((data / "journal").glob("0*.journal*"))
    heads = dict.fromkeys(newer.SMALL_FILES, 60) | {str(path.relative_to(data)): 52 for path in segments}
    for name, length in heads.items():
        sound = (data / name).read_bytes()
        for bit in range(8 * min(length, len(sound))):
            content = bytearray(sound)
            content[bit // 8] ^= 1 << bit % 8
            (data / name).write_bytes(content)
            newer.refuse(data)
        (data / name).write_bytes(sound)
    for name in ("outbox.sqlite", "dead.sqlite", "queue.sqlite"):
        sound = (data / name).read_bytes()
        for bit in range(8 * 100):
            content = bytearray(sound)
            content[bit // 8] ^= 1 << bit % 8
            (data / name).write_bytes(content)
            newer.refuse(data, [data / "queue.sqlite"])
        (data / name).write_bytes(sound)


def test_a_replay_is_refused_what_is_passed_over_by_a_newer_version(tmp_path: Path) -> None:
    """Without it the events would be others."""
    told(tmp_path, LINES, (50, False, RULES))
    small(passed_over.NAME, passed_over.VERSION, 2, body=True)(tmp_path)
    assert main(["replay", str(tmp_path), "--out", str(tmp_path / "out.ndjson")]) == 1
    with pytest.raises(Newer):
        passed_over.PassedOver(tmp_path / passed_over.NAME)
