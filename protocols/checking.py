"""What `sortline doctor` asks of each protocol: `protocols/PROTOCOL/checks.py`, where a protocol has one.

    findings(where, settings)   what a source can lose by its nature, or by its settings
    reach(settings)             where its other end is, and whether somebody may dial there

No protocol's library is imported for it, and nothing is connected to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Reach(NamedTuple):
    """`addresses`: they take TCP connections. `lines`: serial devices of this box. `never`, `beside_engine`: why nobody
    may dial them, at all or while an engine runs; empty: it takes nothing away from anybody."""

    addresses: Sequence[tuple[str, int]] = ()
    lines: Sequence[str] = ()
    never: str = ""
    beside_engine: str = ""
