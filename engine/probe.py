"""`sortline check --probe`: connects to every source beside a running engine and says what works.

Each source's own driver listens for a while; what it makes is counted and thrown away, nothing is acknowledged. Sources
that cannot be listened to without taking something away from the engine are only tried (`protocols.trial`), and what
cannot be tried either is said to be so.
"""

from __future__ import annotations

import asyncio

import uvloop

from engine.config.faults import count
from engine.config.site import Site, Source
from engine.logs import log_lines
from engine.onlooking import Account, Onlooker, look, onlooking_driver
from protocols.discovery import table
from protocols.registry import onlooking_of, trial_of
from protocols.trial import DOWN, NOT_TRIED, REACHED, Trial

GOOD, FAILED = 0, 1
CAUSES_SHOWN = 3
CLOCKS_SHOWN = 3
CLOCK_OFF_US = 1_000_000


def probe(site: Site, seconds: float) -> int:
    """Prints a line for each source. Returns 1 if one does not work, or not all of it: see `verdict`."""
    onlooker = Onlooker()
    connected = [source for source in site.sources if source.protocol is not None]
    with log_lines("error"), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        drivers = {}
        for source in connected:
            driver = onlooking_driver(source, onlooker)
            if driver is not None:
                drivers[source.name] = driver
        trials = runner.run(_tried([source for source in connected if source.name not in drivers], seconds))
        if drivers:
            runner.run(look(drivers, onlooker, seconds))
    rows: list[tuple[str, ...]] = [("source", "", "records", "clock", "")]
    for source in connected:
        if source.name in drivers:
            rows.append(row(source.name, source.protocol or "", onlooker.accounts.get(source.name), seconds))
        else:
            found = trials[source.name]
            rows.append((source.name, found.verdict, "-", "-", found.why))
    print("\n".join(table(rows)))
    if untried := sum(row[1] == NOT_TRIED for row in rows):
        print(f"{count(untried, 'source')} not tried: nothing is known of whether they work")
    return GOOD if all(row[1] in ("works", REACHED, NOT_TRIED) for row in rows[1:]) else FAILED


async def _tried(sources: list[Source], seconds: float) -> dict[str, Trial]:
    """Those that no driver may listen to, side by side."""
    found = await asyncio.gather(*(_trial(source, seconds) for source in sources))
    return {source.name: trial for source, trial in zip(sources, found, strict=True)}


async def _trial(source: Source, seconds: float) -> Trial:
    trial = trial_of(source.protocol or "")
    if trial is None:
        return Trial(NOT_TRIED, f"{source.protocol}: would take something from the engine")
    try:
        async with asyncio.timeout(seconds):
            found: Trial = await trial(source.settings)
            return found
    except TimeoutError:
        return Trial(DOWN, f"no answer in {seconds:g} s")


def verdict(account: Account, late: frozenset[str] = frozenset()) -> str:
    """`late`: causes that only say that we came late. `in part`: what is not there is told beside it."""
    state, detail = account.state
    if state != "up":
        return state
    if account.faults.keys() - late:
        return "does not fit"
    return "in part" if detail else "works"


def row(name: str, protocol: str, account: Account | None, seconds: float) -> tuple[str, ...]:
    if account is None:
        return (name, "silent", "-", "-", "its driver said nothing")
    onlooking = onlooking_of(protocol)
    late = onlooking.late if onlooking is not None else frozenset()
    state, detail = account.state
    if state == "connecting" and not detail:
        detail = f"no answer in {seconds:g} s"
    clock, said = _clocks(account.offsets_us())
    if account.gaps:
        said.append(f"{count(account.gaps, 'gap')}: something may have been missed (source.gap)")
    said += [f"{number} x {cause}" for cause, number in account.faults.most_common(CAUSES_SHOWN)]
    why = "; ".join([detail, *said] if detail else said)
    return (name, verdict(account, late), f"{account.records / seconds:.3g}/s", clock, why)


def _clocks(offsets_us: list[tuple[str, int]]) -> tuple[str, list[str]]:
    """The clock that is farthest off; of several devices also which of them are off."""
    if not offsets_us:
        return "-", []
    shown = [f"{offset_us / 1000:+.1f} ms" for _, offset_us in offsets_us]
    off = sum(abs(offset_us) > CLOCK_OFF_US for _, offset_us in offsets_us) if len(offsets_us) > 1 else 0
    said = [f"clock of {offsets_us[place][0]}: {shown[place]}" for place in range(min(off, CLOCKS_SHOWN))]
    if off > CLOCKS_SHOWN:
        said.append(f"{off - CLOCKS_SHOWN} more clocks are off")
    return shown[0], said
