"""Payloads that are canonical records already, to lines with `t_rx`, as they stand."""

from collections.abc import Iterable, Sequence

from ext.line_plan import JsonPath, LinePlan
from ext.ndjson import NdjsonDecoder

class CanonicalLines(LinePlan):
    def __init__(
        self,
        decoder: NdjsonDecoder,
        constants: Sequence[tuple[str, bytes, bytes, int, int]],
        *,
        each: JsonPath | None,
        when: Sequence[tuple[JsonPath, Iterable[bytes]]],
        of_text: bool,
        payload_bytes_max: int,
    ) -> None:
        """`decoder`: whose tables of the model are used. `constants`: (field, `"field":`, value as JSON, its token,
        its number) of fields for records that lack them."""
