"""The core: canonical records in, business events out. Synchronous, no I/O, reads no clock.

Call order: `feed` batches in order of arrival, `take` whenever you like, `finish` once at the end of a replay. The same
records in the same order give the same bytes, however they are split into calls.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ext.batch import Batch
from ext.texts import Texts

class Core:
    def __init__(
        self,
        site: str,
        texts: Texts,
        rules: Mapping[str, Any] | None = None,
        source_rules: Sequence[tuple[str, Mapping[str, int]]] = (),
        source: str | None = None,
        room: int = 0,
    ) -> None:
        """`rules`: parameters by their name in the site file; absent ones have their defaults. `source_rules`: (src or
        prefix of src, parameters), the longest match wins. `source`: the events' source, default `/sites/<site>`.
        `room`: a `state_bytes_max` that the state finds room for in any case, whatever is decided by: a journal that
        was written under a smaller one has to be read to its end, for a greater one to take over."""
    def feed(self, batch: Batch, start: int = 0, stop: int = -1) -> None:
        """Rows start..stop-1 take effect, in order. The batch must share the core's `texts`."""
    def reject(self, count: int) -> None:
        """So many lines were refused by the decoder: they count as `in` and `rejected`."""
    def take(self) -> list[tuple[int, str, str, str, bytes, bytes]]:
        """Events emitted since the last call: (sequence, id, type, partitionkey, body, content)."""
    def finish(self, until_us: int = -1) -> None:
        """R4a: every source leaves and both clocks run to `until_us` (default: greatest event time + 60 s)."""
    def snapshot(self) -> bytes:
        """All state, versioned and checksummed; `take` the events first (ValueError otherwise)."""
    def restore(self, data: bytes) -> None:
        """Go on where the snapshot was taken: same events, same bytes. Only for a new core with new texts; rules are
        this core's own. Raises ext.snapshot.SnapshotError for bytes that are damaged or of another version."""
    def go_on_from(self, revisions: Mapping[str, int]) -> None:
        """Another program told of what was fed: of each key (an id without its `:rN`) the greatest revision that it
        told. The next one comes after that."""
    def wall_us(self) -> int:
        """The wall clock, the greatest `t_rx` so far; 0: there was none."""
    def due_us(self) -> int:
        """Wall time (microseconds) at which time alone decides something next; -1: nothing waits for time."""
    def account(self) -> dict[str, int]:
        """R82: in, used, duplicate, late, rejected, noise, open; the first is the sum of the others."""
    def state_bytes(self) -> int:
        """Bytes in use, of windows and of all names."""
    def steps(self) -> int:
        """Slots that searches for all lines walk over beyond the first of each: what keys that collide would cost."""
    def names_bytes(self) -> int:
        """Those of names, also of names that nothing mentions any more."""
    def slots(self) -> int:
        """Of the largest table of windows: what `windows` walks."""
    def windows(self, start: int = 0, stop: int = -1) -> dict[str, int]:
        """Open picks, cartons, shipments, tracks, and records that wait for context. Walks all windows: for views.
        start, stop: only those in these slots; what has none counts at slot 0."""
    def sources(self) -> list[dict[str, Any]]: ...
    def position(self, src: str) -> tuple[int, int] | None:
        """The greatest (epoch, seq) seen of a source; None if it never numbered."""
