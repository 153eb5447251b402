"""However a payload is cut, the rules see the same; and no slice holds the event loop much longer than its budget."""

from __future__ import annotations

import asyncio

import pytest

from engine.contracts import Emitted
from engine.records import make_decoder
from engine.slices import SLICE_BYTES_FIRST, SLICE_BYTES_MIN, Slicer
from ext.batch import Batch
from ext.texts import Texts
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
