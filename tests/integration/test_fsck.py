"""`sortline fsck` names what is damaged, puts it aside without deleting anything, and a start goes on from there."""

from __future__ import annotations

import gc
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.app import usable
from engine.cli import main
from engine.errors import Refused
from engine.passed_over import PassedOver
from engine.segments import HEADER_BYTES
from engine.shed_gaps import VERSION as SHED
from engine.whole_file import sealed, write_whole
from tests.integration.test_pipeline import RULES, run, until
from tests.integration.test_restarts import LINES, accept, bodies, rig, told

SNAPSHOT, DECIDED = 200, 250


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of an engine that was killed: several segments, two snapshots, a tail."""
    folder = tmp_path_factory.mktemp("left") / "data"
    told(folder, LINES, (SNAPSHOT, False, RULES), keep_bytes=1 << 24)

    async def tail() -> None:
        engine = rig(folder, every_bytes=1 << 20, keep_bytes=1 << 24)
        await engine.pipeline.start()
        for at in range(SNAPSHOT, DECIDED, 10):
            await accept(engine, LINES[at : at + 10])
        await until(lambda: engine.metrics.intake.records == 0)
        await engine.abandon()

    run(tail)
    return folder


@pytest.fixture
def data(left_behind: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(left_behind, tmp_path / "data"))


def segments(data: Path) -> list[Path]:
    return sorted((data / "journal").glob("*.journal*"))


def snapshots(data: Path) -> list[Path]:
    return sorted((data / "snapshots").glob("*.snapshot"))


def goes_on(data: Path) -> list[bytes]:
    return told(data, LINES[DECIDED:], (len(LINES) - DECIDED, False, RULES), keep_bytes=1 << 24)


def test_a_sound_folder_is_found_sound(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert main(["fsck", str(data)]) == 0
    said = capsys.readouterr().out
    assert f", {DECIDED} records, 0 bytes lost, 2 snapshots that can be used" in said
    assert main(["fsck", "--repair", str(data)]) == 0
    assert "nothing had to be repaired" in capsys.readouterr().out
    for path, content in before.items():
        assert path.name == "lock" or path.read_bytes() == content, path


def test_a_look_leaves_all_of_a_killed_engine(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The write-ahead log of an outbox is evidence, too."""
    with sqlite3.connect(data / "outbox.sqlite", isolation_level=None) as file:
        file.execute("CREATE TABLE mark (x)")
        killed = Path(shutil.copytree(data, tmp_path / "50% ?#", ignore=shutil.ignore_patterns("*-shm")))
    before = {path: path.read_bytes() for path in killed.rglob("*") if path.is_file()}
    assert before[killed / "outbox.sqlite-wal"]
    assert main(["fsck", str(killed)]) == 0, capsys.readouterr().out
    gc.collect()  # whatever is still open is closed now
    assert {path: path.read_bytes() for path in killed.rglob("*") if path in before} == before


def test_a_segment_of_a_newer_version_is_not_put_aside(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = segments(data)[-1]
    content = b"sortjrnl" + (3).to_bytes(4, "little") + b"\x01" * 1_000
    last.write_bytes(content)
    assert main(["fsck", "--repair", str(data)]) == 1
    assert "this program reads 2: start the newer one" in capsys.readouterr().err
    assert last.read_bytes() == content


def no_last_segment(data: Path) -> None:
    segments(data)[-1].rename(data / "away")


def last_segment_cut_at_a_frame(data: Path) -> None:
    last = segments(data)[-1]
    last.write_bytes(last.read_bytes()[:HEADER_BYTES])


def noise_for_a_segment(data: Path) -> None:
    segments(data)[-1].write_bytes(b"\x7fELF" * 500)


def no_segments_at_all(data: Path) -> None:
    for path in segments(data):
        path.rename(data / f"{path.name}.away")


def no_snapshots_and_no_beginning(data: Path) -> None:
    for path in snapshots(data):
        path.rename(data / f"{path.name}.away")
    segments(data)[0].rename(data / "away")


REFUSED: dict[Callable[[Path], None], tuple[str, ...]] = {
    no_last_segment: ("--repair", "--accept-loss"),
    last_segment_cut_at_a_frame: ("--repair", "--accept-loss"),
    noise_for_a_segment: ("--repair",),
    no_segments_at_all: ("--repair",),
    no_snapshots_and_no_beginning: ("--repair", "--accept-loss"),
}


ONLY_THE_RULES_KNOW = (no_last_segment, last_segment_cut_at_a_frame)  # how many events a journal accounts for


@pytest.mark.parametrize("spoil", REFUSED, ids=lambda spoil: str(getattr(spoil, "__name__", spoil)))
def test_what_a_start_refuses_names_the_command_that_helps(
    data: Path, spoil: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    before = bodies(data)
    spoil(data)
    there = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    options = REFUSED[spoil]
    with pytest.raises(Refused) as refused:
        goes_on(data)
    assert f"sortline fsck {' '.join(options)} {data}" in str(refused.value)
    assert str(data / "journal") in str(refused.value)
    assert main(["fsck", str(data)]) == (1 if spoil not in ONLY_THE_RULES_KNOW else 0)
    capsys.readouterr()
    assert main(["fsck", *options, str(data)]) == 0, capsys.readouterr().out
    assert_nothing_is_gone(data, there)
    assert list(data.glob("fsck-*.report"))
    after = goes_on(data)
    assert after[: len(before)] == before, "what was told stays as it was told"
    assert len(after) > len(before)
    assert_told_once(after)
    assert goes_on(data)[: len(after)] == after


def assert_nothing_is_gone(data: Path, there: dict[Path, bytes]) -> None:
    now = [path.read_bytes() for path in data.rglob("*") if path.is_file()]
    for path, content in there.items():
        if "journal" in path.parts or "snapshots" in path.parts:
            nothing_in_it = len(content) <= HEADER_BYTES  # such a segment is begun again
            assert path.name == "lock" or nothing_in_it or content in now, path


def assert_told_once(told_bodies: list[bytes]) -> None:
    events = [json.loads(body) for body in told_bodies]
    assert len({event["id"] for event in events}) == len(events)
    sequences = [event["sequence"] for event in events]
    assert sequences == sorted(set(sequences))


@pytest.mark.parametrize("what", ["lock", "segment", "snapshot", "rules.json"])
def test_a_folder_in_the_place_of_a_file_needs_one_command_at_most(data: Path, what: str) -> None:
    places = {"lock": data / "journal" / "lock", "segment": segments(data)[1], "snapshot": snapshots(data)[-1]}
    path = places.get(what, data / what)
    before = bodies(data)
    path.unlink(missing_ok=True)
    path.mkdir()
    try:
        with usable(data):
            after = goes_on(data)
    except Refused as refused:
        assert f"sortline fsck {'--repair ' if what == 'segment' else ''}{data}" in str(refused)
        assert main(["fsck", "--repair", str(data)]) == 0
        after = goes_on(data)
    assert after[: len(before)] == before, "what was told stays as it was told"
    assert len(after) > len(before)
    assert_told_once(after)


@pytest.mark.parametrize("what", ["outbox.sqlite-shm", "outbox.sqlite-wal", "dead.sqlite-shm", "dead.sqlite-wal"])
def test_a_folder_in_the_place_of_what_sqlite_keeps_needs_no_hand(data: Path, what: str) -> None:
    """It was refused without a word of it (`attempt to write a readonly database`), and no command helped."""
    before = bodies(data)
    (data / what).unlink(missing_ok=True)
    (data / what).mkdir()
    with usable(data):
        after = goes_on(data)
    assert after[: len(before)] == before, "what was told stays as it was told"
    assert len(after) > len(before)
    assert_told_once(after)
    assert (data / f"{what}.bad").is_dir()


@pytest.mark.parametrize("cut", [False, True])
def test_damage_in_the_tail_needs_no_hand(data: Path, cut: bool, caplog: pytest.LogCaptureFixture) -> None:
    """What is lost is counted and said; what was told stays, and the sequence goes on behind it."""
    before = bodies(data)
    last = segments(data)[-1]
    content = bytearray(last.read_bytes())
    middle = len(content.rstrip(b"\0")) // 2
    if cut:
        del content[middle:]
    else:
        content[middle : middle + 64] = bytes(64)
    last.write_bytes(content)
    after = goes_on(data)
    assert after[: len(before)] == before
    assert_told_once(after)
    assert "bytes of what was accepted are lost" in caplog.text
    caplog.clear()
    assert goes_on(data)[: len(after)] == after
    assert "are lost" not in caplog.text, "a snapshot stands behind it now"


@pytest.mark.parametrize("which", [0, 1])
def test_damaged_snapshots_are_put_aside(data: Path, which: int, capsys: pytest.CaptureFixture[str]) -> None:
    path = snapshots(data)[which]
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["fsck", str(data)]) == 0, "a start goes on from the other one"
    assert f"{path}: cannot be used: its digest does not fit" in capsys.readouterr().out
    assert main(["fsck", "--repair", str(data)]) == 0
    assert path.with_name(f"{path.name}.bad").exists()
    assert not path.exists()


SMALL_FILES: dict[str, Callable[[Path], None]] = {
    "rules.json": lambda data: None,  # it is there
    "passed_over.json": lambda data: PassedOver(data / "passed_over.json").add((1, 64), 0),
    "shed.json": lambda data: write_whole(data / "shed.json", sealed(SHED, b'{"dc1/a":[1,2,3]}')),
}


@pytest.mark.parametrize("name", SMALL_FILES)
def test_a_small_file_is_known_and_put_aside_where_it_is_damaged(
    name: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = data / name
    SMALL_FILES[name](data)
    content = path.read_bytes()
    path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    assert main(["fsck", str(data)]) == 0
    assert f"{path}: a flipped bit, which the next start turns back" in capsys.readouterr().out
    assert main(["fsck", "--repair", str(data)]) == 0
    assert not list(data.glob("*.bad")), "the start does it"
    path.write_bytes(content[:-10])
    assert main(["fsck", str(data)]) == 0
    assert f"{path}: is damaged" in capsys.readouterr().out
    assert main(["fsck", "--repair", str(data)]) == 0
    assert path.with_name(f"{name}.bad").read_bytes() == content[:-10]


def test_what_was_shed_and_the_journal_does_not_tell_of_yet_is_said(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    SMALL_FILES["shed.json"](data)
    assert main(["fsck", str(data)]) == 0
    assert "shed.json: 3 records not taken while the disk filled up" in capsys.readouterr().out


def test_a_folder_in_use_is_not_repaired(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from engine.journal import Journal

    journal = Journal(data / "journal", bytes_max=1 << 24)
    assert main(["fsck", str(data)]) == 0, "but it can be looked at"
    assert main(["fsck", "--repair", str(data)]) == 1
    assert "stop it first" in capsys.readouterr().err
    journal.close()


@pytest.mark.parametrize("format_", ["ndjson", "zst", "parquet"])
def test_the_journal_comes_out_as_a_recording(data: Path, tmp_path: Path, format_: str) -> None:
    out = tmp_path / f"out.{format_}"
    assert main(["journal", "export", str(data), "--out", str(out)]) == 0
    again = tmp_path / "again.ndjson"
    site = tmp_path / "site.toml"
    site.write_text(f'site = "dc1"\n[engine]\ndata_dir = "{data}"\n')
    from engine.recordings import read

    expected = b"".join(line + b"\n" for line in LINES[:DECIDED])
    assert b"".join(chunk.data for chunk in read(str(out))) == expected
    assert main(["journal", "export", str(site), "--out", str(again)]) == 0
    assert again.read_bytes() == expected


def places(data: Path) -> Iterator[Path]:
    yield data
    yield data / "journal"


def test_the_journal_replays_to_the_bytes_that_were_told(data: Path, tmp_path: Path) -> None:
    """I10: also where segments are packed."""
    journal_told = bodies(data)
    for number, place in enumerate(places(data)):
        out = tmp_path / f"{number}.ndjson"
        assert main(["replay", str(place), "--out", str(out)]) == 0
        replayed = out.read_bytes().splitlines()
        assert replayed[: len(journal_told)] == journal_told
        assert len(journal_told) > 20


def test_the_segments_are_listed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["journal", "ls", str(data)]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == [path.name for path in segments(data)]


def test_a_place_without_a_journal_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["journal", "ls", str(tmp_path)]) == 1
    assert f"{tmp_path}: there is no journal in it" in capsys.readouterr().err
    assert main(["fsck", "--accept-loss", str(tmp_path)]) == 1
