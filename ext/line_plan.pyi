"""Compiled plans: see line_plan.pxd. Made by `protocols.mapping.compiled`."""

from collections.abc import Iterable, Sequence

from ext.line_block import LineBlock

class JsonPath:
    """A `protocols.mapping.paths.Path`, compiled."""

    def __init__(self, from_root: bool, whole: str, steps: tuple[str | int, ...]) -> None: ...

class LinePlan:
    payload_max: int

    def __init__(
        self,
        *,
        each: JsonPath | None,
        when: Sequence[tuple[JsonPath, Iterable[bytes]]],
        of_text: bool,
        payload_bytes_max: int,
    ) -> None: ...
    def lines(self, payload: bytes, captures: Sequence[bytes], t_rx: int, out: LineBlock) -> bool:
        """Append the payload's lines. False: it is not for this plan, and nothing was appended.

        `captures`: plain texts (UTF-8, without quotes, backslashes and control characters)."""
