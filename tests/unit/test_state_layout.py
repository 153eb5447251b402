"""A snapshot holds the structs of the state as they lie in memory: who changes one gives its format another number."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

EXT = Path(__file__).parents[2] / "ext"
STRUCTS = (
    *("store.pxd", "wheel.pxd", "order_data.pxd", "plan_data.pxd", "state.pxd", "sources.pxd", "premises_data.pxd"),
    *("families.pxd", "exceptions.pxd"),
)
VERSION = "14"
LAYOUT = "4b87503d453837f2"


def fields() -> str:
    """Every struct with its fields in order, without comments."""
    found = []
    for name in STRUCTS:
        text = re.sub(r"#.*", "", (EXT / name).read_text())
        found += re.findall(r"^cdef struct .*: *\n(?:[ ]{4}.*\n)+", text, re.M)
        found += re.findall(r"^ +struct sortline_Fact \{(?s:.*?)^    \};", text, re.M)
    return "\n".join(" ".join(struct.split()) for struct in found)


def test_changed_structs_have_another_version() -> None:
    text = (EXT / "snapshot.pyx").read_text()
    version = re.search(r"^    VERSION = (\d+)$", text, re.M)
    assert version is not None
    digest = hashlib.sha256(fields().encode()).hexdigest()[:16]
    assert (version[1], digest) == (VERSION, LAYOUT), "count VERSION in ext/snapshot.pyx up, and write both down here"
