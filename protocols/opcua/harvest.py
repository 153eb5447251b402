"""What the notifications of one publishing cycle give: lines for the engine, and what could not be used."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.errors import DecodeError
from protocols.mapping.lines import encode_line
from protocols.mapping.plan import RecordPlan

SAMPLE_BYTES_MAX = 4096


class Harvest:
    """Of one entry. `faults`: (cause, sample)."""

    def __init__(self, entry: str) -> None:
        self._entry = entry
        self.lines: list[bytes] = []
        self.faults: list[tuple[str, bytes]] = []

    def gap(self, src: str, t_from: int, t_to: int, t_rx: int, count: int | None = None) -> None:
        """Something of this source between the two times is missing; `count`: how many records, if that is known."""
        times = {"t_from": min(t_from, t_to), "t_to": t_to, "t_rx": t_rx}
        self.lines.append(encode_line({"src": src, "kind": "source.gap", "count": count, **times}))

    def records(self, plan: RecordPlan, values: Mapping[str, object], t: int | None, t_rx: int) -> int:
        """Adds what the plan makes of the values; `t` where it maps none. Returns how many did not fit (now faults)."""
        unfit = 0
        try:
            scopes = plan.scopes(values, {})
        except DecodeError as error:
            self.fault(error.cause, values)
            return 1
        for sub, scope in scopes:
            try:
                record = plan.record(scope, sub, t_rx)
                if t is not None:
                    record.setdefault("t", t)
                self.lines.append(encode_line(record))
            except DecodeError as error:
                self.fault(error.cause, values)
                unfit += 1
        return unfit

    def fault(self, cause: str, sample: Mapping[str, object]) -> None:
        encoded = msgspec.json.encode(sample, enc_hook=repr)
        self.faults.append((f"{self._entry}: {cause}", encoded[:SAMPLE_BYTES_MAX]))
