"""What every `discover` is made of: an account of what was seen, and the draft of a source's table.

A protocol's part is a module `protocols/PROTOCOL/discover.py` with `add_arguments(parser)` and
`async def discover(args) -> Discovery`, named in `protocols.registry`; where it looks is said in one way (`add_place`,
`how_to_connect`). It only looks: nothing is written to a device,
nothing is acknowledged, and no name is used that the engine uses.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import Refused

SAMPLE_CHARACTERS = 60


class Discovery(NamedTuple):
    """`report`: what is there, line by line, for a person. `draft`: TOML that `sortline check` takes as part of a site
    file, with comments where a person has to decide."""

    report: list[str]
    draft: str


def add_place(parser: argparse.ArgumentParser, metavar: str, help_: str) -> None:
    """Where to look: said here, or connected to as a source of a site file is."""
    parser.add_argument("where", nargs="?", metavar=metavar, help=help_)
    parser.add_argument(
        "--from",
        dest="site_file",
        type=Path,
        metavar="SITE.toml",
        help="instead: connect as a source of this file does, with its user, certificates, TLS, serial line; only what "
        "says how to connect has to stand in it",
    )
    parser.add_argument("--source", metavar="NAME", help="with --from: which source, if it has several of the protocol")
    parser.set_defaults(table=None)


def how_to_connect(
    args: argparse.Namespace, keys: Collection[str], of_place: Callable[[str], dict[str, Any]]
) -> dict[str, Any]:
    """What a source's table says of how to connect: `keys` of that of the site file (`args.table`), or what is made of
    the place that was said."""
    if args.table is not None:
        return {name: value for name, value in args.table.items() if name in keys}
    if args.where is None:
        raise Refused("where is it? Say HOST or HOST:PORT, or --from and a site file")
    return of_place(args.where)


def head(name: str, protocol: str, table: Mapping[str, Any]) -> list[str]:
    """The beginning of a source's table: how to connect."""
    return [
        f"[sources.{key(name)}]",
        f"protocol = {toml(protocol)}",
        *(f"{key(each)} = {toml(value)}" for each, value in table.items()),
    ]


def numbering(trigger: str, counts: bool) -> list[str]:
    """What a draft says of a trigger that counts; whether it counts the events a person has to know."""
    seq = f"record.seq = {{ path = {toml(trigger)}, wrap = 65536 }}"
    return [f"# {seq} # if it counts the events: then missed ones are seen (wrap: 65535 is followed by 0)"] * counts


class Seen:
    """What came of one topic, node or register: how often, and what it looked like. `value`: before anything came."""

    def __init__(self, value: object = None) -> None:
        self.count = 0
        self.first = self.last = value
        self.rising = True  # as a counter does: never smaller than before

    def add(self, value: object) -> None:
        if self.count == 0:
            self.first = value
        elif not _rises(self.last, value):
            self.rising = False
        self.count += 1
        self.last = value

    def rate(self, seconds: float) -> str:
        return f"{self.count / seconds:.3g}/s" if self.count else "-"


def sample(value: object) -> str:
    """A value as one short line, control characters escaped."""
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= SAMPLE_CHARACTERS else text[: SAMPLE_CHARACTERS - 3] + "..."


def in_quotes(text: str) -> str:
    """As it may stand between the quotes of a TOML text, on one line."""
    return _quoted(text)[1:-1]


def toml(value: object) -> str:
    """A value as TOML has it: texts, numbers, booleans, lists and inline tables of them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key(name)} = {toml(inside)}" for name, inside in value.items()) + " }"
    if isinstance(value, Iterable):
        return "[" + ", ".join(map(toml, value)) + "]"
    return str(value)


def key(name: str) -> str:
    """A key as TOML has it, quoted where it must be."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def plain_name(text: str, taken: Iterable[str] = ()) -> str:
    """A name of letters, digits and underscores made from any text, unlike those that are taken."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_").lower()[:48] or "x"
    name = name if not name[0].isdigit() else f"n{name}"
    known = set(taken)
    if name not in known:
        return name
    return next(f"{name}_{number}" for number in range(2, len(known) + 3) if f"{name}_{number}" not in known)


def table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Rows as lines with columns side by side."""
    listed = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)] if listed else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in listed]


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's, but for surrogates, which ensure_ascii would write, and DEL, which JSON lets stand
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _rises(before: object, value: object) -> bool:
    whole = isinstance(before, int) and isinstance(value, int) and not isinstance(value, bool)
    return whole and value >= before  # type: ignore[operator]
