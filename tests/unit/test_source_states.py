"""Section 10: a source is down, syncing, live or stale."""

from __future__ import annotations

import json

from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts
from tests.stories import T0, Record, S

SRC = "dc1/gate/SCN-1"


class Watched:
    def __init__(self) -> None:
        texts = Texts()
        self.texts, self.decoder, self.core = texts, make_decoder(texts), Core("dc1", texts)

    def after(self, t: int, kind: str, rx: int | None = None, src: str = SRC, **fields: object) -> str:
        record: Record = {
            "src": src,
            "kind": kind,
            "t": T0 + t * S,
            "t_rx": T0 + (t if rx is None else rx) * S,
            **fields,
        }
        batch = Batch(self.texts)
        assert self.decoder.decode_lines([json.dumps(record).encode()], batch) == []
        self.core.feed(batch)
        states = {one["src"]: one["state"] for one in self.core.sources()}
        return str(states[SRC])


def test_S10_the_states_of_a_source() -> None:
    source = Watched()
    assert source.after(1, "scan.read", lu="L-1", seq=1) == "LIVE"
    assert source.after(10, "telemetry", src="dc1/gate/SCN-2") == "STALE"
    assert source.after(11, "telemetry", seq=2) == "STALE", "noise brings nobody in (R2)"
    assert source.after(12, "scan.read", lu="L-1", seq=3) == "LIVE"
    assert source.after(13, "link.down", src="dc1/gate/gateway", scope="dc1/gate") == "DOWN"
    assert source.after(12, "scan.read", 30, lu="L-1", seq=4, hist=True) == "SYNCING"
    assert source.after(29, "link.up", 31, src="dc1/gate/gateway", scope="dc1/gate") == "SYNCING"
    assert source.after(28, "telemetry", 32, seq=5, hist=True) == "SYNCING"
    assert source.after(33, "scan.read", lu="L-1", seq=6) == "LIVE"


def test_S10_a_backlog_that_breaks_off() -> None:
    source = Watched()
    source.after(1, "scan.read", lu="L-1", seq=1)
    source.after(2, "link.down")
    assert source.after(3, "scan.read", 10, lu="L-1", seq=2, hist=True) == "SYNCING"
    assert source.after(11, "link.down") == "DOWN"


def test_S10_a_source_that_can_be_heard_again_is_not_down() -> None:
    source = Watched()
    source.after(1, "scan.read", lu="L-1", seq=1)
    assert source.after(2, "link.down") == "DOWN"
    assert source.after(3, "link.up") == "SYNCING"
    assert source.after(4, "link.down") == "DOWN"
    assert source.after(5, "link.up", src="dc1/gate/gateway", scope="dc1/gate") == "DOWN", "that is another link"
    assert source.after(6, "link.up") == "SYNCING"
    assert source.after(7, "scan.read", lu="L-1", seq=2) == "LIVE"
