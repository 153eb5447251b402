"""Which rules held from which place of the journal on: what was decided is a function of both.

`rules.json` in the data folder: a line with version and digest, then

    [{"from": [segment, offset], "rules": {"rules": {...}, "site": "dc1", "sources": [[src, {...}], ...]}}, ...]

in order, one entry a change. A replay turns to the next rules where the engine did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from engine.disk import DISK, Disk
from engine.journal import BEGINNING, Position
from engine.whole_file import body_of, is_sealed, mended, read_whole, refuse_newer, sealed, write_whole

NAME = "rules.json"
VERSION = b"sortline-rules-1"

encode = msgspec.json.Encoder(order="sorted").encode


class RuleSet(NamedTuple):
    """Everything beside the records that decides. rules: by name in the site file; sources: (src or its beginning, what
    it has its own way)."""

    site: str
    rules: Mapping[str, Any]
    sources: Sequence[tuple[str, Mapping[str, int]]] = ()

    def document(self) -> dict[str, Any]:
        return {"site": self.site, "rules": dict(self.rules), "sources": [list(each) for each in self.sources]}

    def same(self, other: RuleSet) -> bool:
        return encode(self.document()) == encode(other.document())

    def changed(self, other: RuleSet) -> list[str]:
        """The names of what `other` says otherwise."""
        names = sorted(self.rules.keys() | other.rules.keys())
        found = [name for name in names if encode(self.rules.get(name)) != encode(other.rules.get(name))]
        mine, others = ({src: dict(own) for src, own in each.sources} for each in (self, other))
        return found + [src for src in sorted(mine.keys() | others.keys()) if mine.get(src) != others.get(src)]


def rule_set(document: Mapping[str, Any]) -> RuleSet:
    """What `RuleSet.document` gave. Raises KeyError, TypeError or ValueError for anything else."""
    return RuleSet(
        str(document["site"]), dict(document["rules"]), [(str(src), dict(own)) for src, own in document["sources"]]
    )


class Change(NamedTuple):
    position: Position
    rules: RuleSet


class RuleBook:
    """The changes, in order. A flipped bit is turned back; any other file that cannot be read is `damaged`, and put
    aside as `.bad`. `report` says so then."""

    def __init__(self, path: Path, disk: Disk = DISK, *, put_damaged_aside: bool = True) -> None:
        self.path = path
        self.report = ""
        self.damaged = False
        self._disk = disk
        self._changes: list[Change] = []
        if path.name in disk.names(path.parent):
            self._read(put_damaged_aside)

    def held_at(self, position: Position) -> RuleSet | None:
        """The rules for what comes after `position`; None: it is not written down."""
        held = [change.rules for change in self._changes if change.position <= position]
        return held[-1] if held else None

    def changes_from(self, position: Position) -> list[Change]:
        """The changes at or after `position`."""
        return [change for change in self._changes if change.position >= position]

    def write(self, position: Position, rules: RuleSet, needed_from: Position = BEGINNING) -> None:
        """From `position`, the journal's end, on these rules hold. What was over before `needed_from` is forgotten."""
        last = Change(position, rules)
        all_ = [*(change for change in self._changes if change.position < position), last]
        changes = [*(change for change, next_ in pairwise(all_) if next_.position > needed_from), last]
        body = encode([{"from": list(change.position), "rules": change.rules.document()} for change in changes])
        write_whole(self.path, sealed(VERSION, body), self._disk)
        self._changes = changes

    def _read(self, put_damaged_aside: bool) -> None:
        found = read_whole(self.path, self._disk) if self._disk.bytes_of(self.path) >= 0 else b""
        refuse_newer(self.path, found, VERSION)
        content, self.report = mended(self.path, found, is_sealed, self._disk, mend=put_damaged_aside)
        self.damaged = content is None
        if content is None:
            self.report += "; the last snapshot knows its rules, too" if put_damaged_aside else ""
            return
        entries = msgspec.json.decode(body_of(content))
        self._changes = [Change(Position(*entry["from"]), rule_set(entry["rules"])) for entry in entries]
