"""However a payload is cut, the rules see the same; and no slice holds the event loop much longer than its budget."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from engine.contracts import Emitted
from engine.records import make_decoder
from engine.slices import SLICE_BYTES_FIRST, SLICE_BYTES_MIN, WINDOW_SLOTS, WINDOWS_PART, Slicer
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts
from tests import stories
from tests.counting_core import CountingCore, read

LINES = [read(f"LU-{n}", 1_000 + n, seq=n) for n in range(2_000)]
LINES[7] = b"{"
LINES[1_500] = b'{"src":"x"}'
LINES[1_999] = b""
PAYLOAD = b"".join(line + b"\n" for line in LINES)


class Work:
    """A clock that says that each record took `record_s`."""

    def __init__(self, core: CountingCore, record_s: float) -> None:
        self.core = core
        self.record_s = record_s

    def __call__(self) -> float:
        return self.core.records * self.record_s


def fed(payload: bytes, record_s: float) -> tuple[list[Emitted], list[tuple[int, str]], list[int]]:
    """Events, refused lines, and the number of records in each slice."""
    core = CountingCore()
    texts = Texts()
    refused: list[tuple[int, str]] = []
    slices = [0]
    feed = core.feed

    def counted(batch: Batch, start: int = 0, stop: int = -1) -> None:
        slices.append(len(batch))
        feed(batch, start, stop)

    core.feed = counted  # type: ignore[method-assign]
    slicer = Slicer(core, make_decoder(texts), Batch(texts), budget_s=0.003, timer=Work(core, record_s))
    events = asyncio.run(slicer.feed(payload, lambda line, reason: refused.append((line, reason))))
    assert core.rejected == len(refused)
    return events, refused, slices[1:]


@pytest.mark.parametrize("record_s", [0.0, 1e-6, 1e-5, 1e-3])
def test_every_cut_gives_the_same(record_s: float) -> None:
    events, refused, _ = fed(PAYLOAD, record_s)
    assert [event[1] for event in events] == [f"LU-{n}" for n in range(2_000) if n not in (7, 1_500, 1_999)]
    assert [line for line, _ in refused] == [7, 1_500]


@pytest.mark.parametrize("record_s", [1e-5, 1e-4])
def test_slices_shrink_to_the_budget(record_s: float) -> None:
    _, _, slices = fed(PAYLOAD, record_s)
    took = [count * record_s for count in slices]
    assert max(took[1:]) < 2 * 0.003
    assert sum(took) / len(took) > 0.003 / 4


def test_a_record_that_takes_long_stands_almost_alone() -> None:
    _, _, slices = fed(PAYLOAD, 0.05)
    line = len(LINES[100]) + 1
    assert max(slices[1:]) <= SLICE_BYTES_MIN // line + 1


def test_quick_records_come_in_larger_slices() -> None:
    _, _, slices = fed(PAYLOAD * 3, 0.0)
    assert len(slices) < 3 * len(PAYLOAD) / SLICE_BYTES_FIRST / 2


def test_a_line_longer_than_a_slice_stays_whole() -> None:
    long = read("LU-1", 1, note="x" * (4 * SLICE_BYTES_FIRST // 4 - 200), **{"a" * 9: "y" * 4_000})
    events, refused, _ = fed(long + b"\n" + read("LU-2", 2) + b"\n", 0.0)
    assert len(events) + len(refused) == 2
    assert events[-1][1] == "LU-2"


class Crowded(CountingCore):
    """So many windows, one a slot, that take their time to be counted."""

    COUNT = 10 * WINDOW_SLOTS + 1

    def __init__(self) -> None:
        super().__init__()
        self.walked: list[tuple[int, int]] = []

    def slots(self) -> int:
        return self.COUNT

    def windows(self, start: int = 0, stop: int = -1) -> dict[str, int]:
        self.walked.append((start, stop))
        return {"picks": min(stop, self.COUNT) - start, "waiting": 0 if start else 7}


def test_windows_are_counted_a_few_at_a_time_and_seldom() -> None:
    core, texts = Crowded(), Texts()
    slicer = Slicer(core, make_decoder(texts), Batch(texts), timer=lambda: len(core.walked) * 0.001 + later_s)
    later_s = 0.0
    turns = 0

    async def story() -> None:
        nonlocal turns, later_s
        counting = asyncio.ensure_future(slicer.windows())
        while not counting.done():
            turns += 1
            await asyncio.sleep(0)
        assert counting.result() == {"picks": Crowded.COUNT, "waiting": 7}
        assert turns >= len(core.walked) == 11
        assert await slicer.windows() == counting.result()
        assert len(core.walked) == 11
        later_s = 0.011 / WINDOWS_PART
        await slicer.windows()
        assert len(core.walked) == 22

    asyncio.run(story())


def test_the_windows_of_all_slots_are_all_windows() -> None:
    texts = Texts()
    core, batch = Core("dc1", texts), Batch(texts)
    lines = b"".join(json.dumps(record).encode() + b"\n" for record in stories.seeded(3).records)
    make_decoder(texts).decode(lines, batch)
    core.feed(batch)
    found: Counter[str] = Counter()
    for start in range(0, core.slots(), 3):
        found.update(core.windows(start, start + 3))
    assert dict(found) == core.windows()
    assert found["picks"] > 0
