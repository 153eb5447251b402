"""`sortline check --probe`: connects to every source beside a running engine and says what works.

Each source's own driver listens for a while; what it makes is counted and thrown away, nothing is acknowledged. Sources
that cannot be listened to without taking something away from the engine are named and left alone.
"""

from __future__ import annotations

import asyncio

import uvloop

from engine.config.site import Site
from engine.logs import log_lines
from engine.onlooking import Account, Onlooker, look, onlooking_driver
from protocols.discovery import table

GOOD, FAILED = 0, 1
CAUSES_SHOWN = 3


def probe(site: Site, seconds: float) -> int:
    """Prints a line for each source. Returns 1 if one is not connected, or sends what does not fit."""
    onlooker = Onlooker()
    connected = [source for source in site.sources if source.protocol is not None]
    with log_lines("error"), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        drivers = {}
        for source in connected:
            driver = onlooking_driver(source, onlooker)
            if driver is not None:
                drivers[source.name] = driver
        if drivers:
            runner.run(look(drivers, onlooker, seconds))
    rows: list[tuple[str, ...]] = [("source", "", "records", "clock", "")]
    for source in connected:
        if source.name in drivers:
            rows.append(_row(source.name, onlooker.accounts.get(source.name), seconds))
        else:
            rows.append((source.name, "left alone", "-", "-", f"{source.protocol}: would take entries from the engine"))
    print("\n".join(table(rows)))
    good = all(_works(onlooker.accounts.get(name)) for name in drivers)
    return GOOD if good else FAILED


def _works(account: Account | None) -> bool:
    return account is not None and account.state[0] == "up" and not account.faults


def _row(name: str, account: Account | None, seconds: float) -> tuple[str, ...]:
    if account is None:
        return (name, "silent", "-", "-", "its driver said nothing")
    state, detail = account.state
    offset = "-" if account.offset_us is None else f"{account.offset_us / 1000:+.1f} ms"
    causes = [f"{count} x {cause}" for cause, count in account.faults.most_common(CAUSES_SHOWN)]
    why = "; ".join([detail, *causes] if detail else causes)
    works = "works" if _works(account) else f"{state}, does not fit" if account.faults and state == "up" else state
    return (name, works, f"{account.records / seconds:.3g}/s", offset, why)
