"""Record tables of the site file, compiled: see record_lines.pyx. Made by `protocols.mapping.compiled`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ext.counters import Sequences
from ext.line_plan import JsonPath, LinePlan

class RecordLines(LinePlan):
    def __init__(
        self,
        fields: Sequence[Mapping[str, Any]],
        kinds: Iterable[bytes],
        needs: Sequence[Sequence[int]],
        modulus: int,
        sequences: Sequences,
        *,
        each: JsonPath | None,
        when: Sequence[tuple[JsonPath, Iterable[bytes]]],
        of_text: bool,
        payload_bytes_max: int,
    ) -> None:
        """`fields`: sorted by name, each with all keys of `protocols.mapping.compiled.field`; `needs`: by number of the
        kind, alternatives as bit masks over the fields; `modulus`: of `seq`, 0 where it does not wrap."""
