"""Topic filters with names for their wildcards: `dc1/+area/+device/evt`, `dc1/wms/#rest`.

MQTT 5 section 4.7 (the same in 3.1.1): `+` stands for one level, `#` at the end for any number of levels, also none;
neither matches a topic that begins with `$` when it is the first level.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LEVELS_MAX = 64

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class TopicFault(ValueError):
    """A topic filter that cannot be read: what is wrong and what to do."""


class TopicFilter(NamedTuple):
    """`levels`: None for a wildcard. `names`: one a wildcard, empty for a bare one. `open_end`: it ends with `#`."""

    levels: tuple[str | None, ...]
    names: tuple[str, ...]
    open_end: bool

    @property
    def wire(self) -> str:
        """The filter as the broker knows it."""
        levels = ["+" if level is None else level for level in self.levels]
        return "/".join([*levels, "#"] if self.open_end else levels)

    @property
    def captures(self) -> frozenset[str]:
        return frozenset(name for name in self.names if name)

    def match(self, topic: str) -> dict[str, str] | None:
        """What the names stand for in this topic; None if it does not match."""
        parts = topic.split("/")
        count = len(self.levels)
        if len(parts) < count or (len(parts) > count and not self.open_end):
            return None
        if topic.startswith("$"):
            return None
        found = []
        for level, part in zip(self.levels, parts, strict=False):
            if level is None:
                found.append(part)
            elif level != part:
                return None
        if self.open_end:
            found.append("/".join(parts[count:]))
        return {name: value for name, value in zip(self.names, found, strict=True) if name}


def parse_filter(text: str) -> TopicFilter:
    """Raises TopicFault."""
    parts = text.split("/")
    if len(parts) > LEVELS_MAX:
        raise TopicFault(f"at most {LEVELS_MAX} levels")
    if text.startswith("$"):
        raise TopicFault("topics that begin with $ are the broker's own ($SYS, $share): no machine speaks there")
    open_end = parts[-1].startswith("#")
    levels: list[str | None] = []
    names = []
    for part in parts[:-1] if open_end else parts:
        if part.startswith("+"):
            levels.append(None)
            names.append(_name(part))
        elif "+" in part or "#" in part or "\0" in part:
            raise TopicFault("+ stands for a whole level, # for all at the end: dc1/+area/+device/evt, dc1/#rest")
        else:
            levels.append(part)
    if open_end:
        names.append(_name(parts[-1]))
    given = [name for name in names if name]
    if len(set(given)) != len(given):
        raise TopicFault("each name may stand once")
    return TopicFilter(tuple(levels), tuple(names), open_end)


def _name(part: str) -> str:
    if len(part) > 1 and not _NAME.fullmatch(part[1:]):
        raise TopicFault(f"{part[1:]!r} is no name: letters, digits and _, as in +device")
    return part[1:]


def overlap(one: TopicFilter, other: TopicFilter) -> bool:
    """Whether a topic exists that matches both."""
    for left, right in zip(one.levels, other.levels, strict=False):
        if left is not None and right is not None and left != right:
            return False
    if len(one.levels) == len(other.levels):
        return True
    shorter = one if len(one.levels) < len(other.levels) else other
    return shorter.open_end
