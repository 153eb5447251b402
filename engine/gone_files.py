"""Databases of the data folder that are not there any more, or empty. A start makes new ones, as it does where somebody
has moved them away on purpose; but what only they had is gone, and nothing else would tell of it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from engine.contracts import FileSink, Outbox, Sink
from engine.disk import DISK
from engine.journal import Journal
from engine.whole_file import NEW

log = logging.getLogger("sortline.recovery")


def say_what_went(letters: Path, journal: Journal, outbox: Outbox, sinks: Mapping[str, Sink]) -> None:
    """At a start, before any of them is made anew. A data folder in which nothing was done yet has none of them."""
    accounts = {name: [outbox.account(lane.number) for lane in outbox.lanes(name)] for name in sinks}

    def again(command: str) -> str:
        if journal.begins():
            return f"The journal still makes them: sortline {command}"
        return "The journal has its beginning no more: what sortline replay makes of it is not all of them"

    dead = sum(account.dead for each in accounts.values() for account in each)
    if journal.first() and not journal.is_of_first_release and _is_gone(letters):
        log.log(
            logging.ERROR if dead else logging.WARNING,
            "%s: is not there, or empty: the dead letters that it had are gone, and a new one is begun. So far %d "
            "events had become dead letters. %s",
            *(letters, dead, again(f"replay {letters.parent} --config SITE.toml --out events.ndjson")),
        )
    for name, sink in sinks.items():
        delivered = sum(account.delivered for account in accounts[name])
        if isinstance(sink, FileSink) and delivered and _is_gone(sink.path):
            log.error(
                "%s: is not there, or empty: with it went what sink %s had of %d events, and a new one is begun for "
                "those that are still to come. %s",
                *(sink.path, name, delivered, again(f"journal refill SITE.toml --sink {name}")),
            )


def _is_gone(path: Path) -> bool:
    """And not only on its way back, when what can be read of a damaged one takes its place. An empty file is a new
    database to SQLite."""
    return DISK.bytes_of(path) <= 0 and not path.with_name(path.name + NEW).exists()
