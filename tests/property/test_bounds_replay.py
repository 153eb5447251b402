"""I10 where the state is full: what is forgotten early and what is refused is a function of the records alone, however
they are grouped, whatever was decoded behind them, and wherever the run was stopped."""

from __future__ import annotations

import json

import pytest

from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts
from tests.property.test_bounds import flood, story, unplanned

CAP = 4 << 20


def lines_of_a_full_state() -> list[bytes]:
    records = flood(story(), 20) + flood(unplanned(300), 40)
    return [json.dumps(record).encode() for record in records]


LINES = lines_of_a_full_state()


class Run:
    def __init__(self, slice_of: int, *, stop_every: int = 0, decode_ahead: int = 1, names_before: int = 0) -> None:
        self.texts = Texts()
        for n in range(names_before):
            self.texts.number(f"name of another life {n}")
        self.core = self.made()
        self.bodies: list[bytes] = []
        self.slices = [LINES[at : at + slice_of] for at in range(0, len(LINES), slice_of)]
        for at in range(0, len(self.slices), decode_ahead):
            self.feed(self.slices[at : at + decode_ahead])
            if stop_every and at % stop_every == stop_every - 1:
                self.restart()
        self.account = self.core.account()
        self.core.finish()
        self.take()

    def made(self) -> Core:
        return Core("dc1", self.texts, {"state_bytes_max": CAP})

    def feed(self, slices: list[list[bytes]]) -> None:
        """All of them are decoded before the first is fed, as records wait behind each other in an intake."""
        decoder, batches = make_decoder(self.texts), []
        for lines in slices:
            batch = Batch(self.texts)
            assert decoder.decode(b"\n".join(lines), batch) == []
            batches.append(batch)
        for batch in batches:
            self.core.feed(batch)
            batch.clear()
            self.take()

    def take(self) -> None:
        self.bodies += [event[4] for event in self.core.take()]

    def restart(self) -> None:
        kept = self.core.snapshot()
        self.texts = Texts()
        self.core = self.made()
        self.core.restore(kept)


@pytest.fixture(scope="module")
def whole() -> Run:
    run = Run(len(LINES))
    assert run.account["rejected"] > 10_000
    assert any(b"CFG_STATE_FULL" in body for body in run.bodies)
    return run


@pytest.mark.parametrize(
    "other",
    [
        {"slice_of": 1_000},
        {"slice_of": 37},
        {"slice_of": 500, "decode_ahead": 8},
        {"slice_of": 700, "stop_every": 3},
        {"slice_of": 2_000, "names_before": 5_000},
    ],
    ids=str,
)
def test_I10_a_full_state_decides_by_the_records_alone(whole: Run, other: dict[str, int]) -> None:
    run = Run(**other)
    assert run.account == whole.account
    assert run.bodies == whole.bodies
