"""The plain loop inside a bytewax dataflow (`pip install bytewax`), one worker and one key, whose state is `Windows`.

Keyed by load unit it would say less (a key sees no watermark of others) and be several times slower. It is measured
from start to end, so its steps have no percentiles.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench.measure import Absent
from bench.peers.loop import Record, Windows, decode_lines


def load() -> Any:
    """The modules that are needed. Raises Absent where bytewax is not installed."""
    try:
        from bytewax import dataflow, operators, testing
    except ImportError as error:
        raise Absent(f"bytewax is not installed ({error}): pip install bytewax") from None
    return dataflow, operators, testing


def run(modules: Any, batches: Iterable[Any], *, decoded: bool) -> int:
    """All of the story through one flow; how many events it told. batches: lists of Record if `decoded`, or NDJSON."""
    dataflow, operators, testing = modules
    told: list[tuple[str, bytes]] = []
    flow = dataflow.Dataflow("floor")
    stream = operators.input("records", flow, testing.TestingSource(batches, batch_size=1))
    if not decoded:
        stream = operators.map("decode", stream, decode_lines)
    keyed = operators.key_on("site", stream, lambda _: "dc1")
    events = operators.stateful_flat_map("windows", keyed, _step)
    operators.output("events", events, testing.TestingSink(told))
    testing.run_main(flow)
    return len(told)


def _step(windows: Windows | None, records: list[Record]) -> tuple[Windows, list[bytes]]:
    windows = windows or Windows()
    windows.take(records)
    events, windows.events = windows.events, []
    return windows, events
