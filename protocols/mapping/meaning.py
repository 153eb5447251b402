"""What payloads mean, by the quickest way that knows them: the compiled plan for what is ordinary, the plan in Python
for the rest. Both say the same (see compiled)."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import DecodeError
from ext.line_block import LineBlock
from ext.line_plan import LinePlan
from protocols.mapping.compiled import compile_canonical, compile_lines
from protocols.mapping.payload import PARSERS
from protocols.mapping.plan import NO_CAPTURES, Described, Lines, canonical_lines, compile_plan
from protocols.mapping.sequence import Sequences


def compile_described(
    described: Described, sequences: Sequences, bytes_max: int, captures: Sequence[str] = ()
) -> LinePlan | None:
    """The compiled `plan.compile_plan`; None: it has something that is not compiled. captures: names, in order."""
    if described.format == "canonical":
        return compile_canonical(described.constants, described.when, described.each, bytes_max)
    return compile_lines(
        described.record,
        constants=described.constants,
        when=described.when,
        each=described.each,
        captures=captures,
        sequences=sequences,
        of_text=described.format == "text",
        payload_bytes_max=bytes_max,
    )


class Meaning:
    """Of payloads whose description names no captures. `sequences`: the devices' counters, which a payload moves."""

    def __init__(self, described: Described, sequences: Sequences, bytes_max: int) -> None:
        self._compiled = compile_described(described, sequences, bytes_max)
        self._parse = PARSERS[described.format]
        self._plan = compile_plan(described, sequences)
        self._bytes_max = bytes_max
        self._block = LineBlock()

    def lines(self, payload: bytes, t_rx: int) -> Lines:
        """The canonical lines of a payload, and the cause of each thing in it that does not fit."""
        if self._compiled is not None and self._compiled.lines(payload, (), t_rx, self._block):
            data, count = self._block.take()
            return Lines(data.split(b"\n", count)[:count], [])
        try:
            values = self._parse(payload, self._bytes_max)
        except DecodeError as error:
            return Lines([], [error.cause])
        return canonical_lines(self._plan, values, NO_CAPTURES, t_rx)
