"""By which rules an engine decided on its journal, for whoever decides on it again: nothing is changed or put aside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.disk import DISK
from engine.journal import BEGINNING, Position
from engine.rule_book import NAME as RULES
from engine.rule_book import RuleBook, RuleSet
from engine.snapshots import SUFFIX, Unusable, decode
from engine.whole_file import read_whole

Held = Callable[[tuple[int, int]], RuleSet | None]


def held_in(data: Path, say: Callable[[str], None]) -> Held:
    """Place in the journal of a data folder -> the rules for what comes after it; None: nobody knows them. say: gets
    what is wrong with the files that tell."""
    book = RuleBook(data / RULES, put_damaged_aside=False)
    if book.report:
        say(book.report)
    changes = book.changes_from(BEGINNING)
    if not changes:
        rules = _of_a_snapshot(data / "snapshots")
        return lambda at: rules
    return lambda at: book.held_at(Position(*at)) or changes[0].rules


def _of_a_snapshot(folder: Path) -> RuleSet | None:
    """Those of the newest one that can be read."""
    for name in sorted(DISK.names(folder), reverse=True):
        if name.endswith(SUFFIX):
            try:
                return decode(read_whole(folder / name)).rules
            except (Unusable, OSError):
                continue
    return None
