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
    events = operators.stateful("windows", keyed, lambda state: _logic(operators, state))
    operators.output("events", events, testing.TestingSink(told))
    testing.run_main(flow)
    return len(told)


def _logic(operators: Any, state: Windows | None) -> Any:
    """`Windows` as a StatefulLogic of bytewax; the end of the input decides what is still open, as it does for all."""

    class Logic(operators.StatefulLogic):  # type: ignore[misc]  # its module is only there when it is installed
        def __init__(self, windows: Windows) -> None:
            self.windows = windows

        def on_item(self, value: list[Record]) -> tuple[list[bytes], bool]:
            self.windows.take(value)
            return self.taken(), False

        def on_eof(self) -> tuple[list[bytes], bool]:
            self.windows.finish()
            return self.taken(), True

        def taken(self) -> list[bytes]:
            events, self.windows.events = self.windows.events, []
            return events

        def snapshot(self) -> Windows:
            return self.windows

    return Logic(state or Windows())
