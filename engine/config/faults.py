"""A fault of the site file: where it is, what is wrong, what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engine.errors import Refused

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LISTED_MAX = 16


class Fault(NamedTuple):
    """`path` as in TOML, with list indexes: `sources.sorter.units[2].poll_ms`; "" is the whole file."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class SiteRefused(Refused):
    """A site file with faults; `faults` has all of them."""

    def __init__(self, file: str, faults: Sequence[Fault]) -> None:
        lines = "\n".join(f"  {fault}" for fault in faults)
        super().__init__(f"{file}: {count(len(faults), 'fault')}\n{lines}")
        self.file = file
        self.faults = tuple(faults)


def count(number: int, noun: str) -> str:
    """`1 fault`, `2 faults`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def key_path(path: str, key: str) -> str:
    """The path of a key inside the table at `path`; a key that TOML would want quoted is quoted."""
    name = key if _BARE_KEY.fullmatch(key) else '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{path}.{name}" if path else name


def item_path(path: str, index: int) -> str:
    """The path of an element of the list at `path`."""
    return f"{path}[{index}]"


def below(path: str, relative: str) -> str:
    """The path `relative` to the table at `path`, as `faults()` methods give it (`units[2].poll_ms`, `[0]`, "")."""
    if not relative:
        return path
    return path + relative if relative.startswith("[") or not path else f"{path}.{relative}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant; None if none is near."""
    folded = {candidate.casefold().replace("-", "_"): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold().replace("-", "_"), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or what there is."""
    names = sorted(set(known))
    near = nearest(name, names)
    if near is not None:
        return f'did you mean "{near}"?'
    shown = ", ".join(names[:_LISTED_MAX]) + (", ..." if len(names) > _LISTED_MAX else "")
    return f"known here: {shown}" if names else "there are none here"
