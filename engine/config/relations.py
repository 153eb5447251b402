"""What parameters of the rules ask of each other: values that are right alone and together break a rule in silence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from engine.config.faults import Fault, key_path
from engine.config.rules import SOURCE_NAMES
from engine.config.site import Site


class Relation(NamedTuple):
    """`name` has to be as long as `parts` together, or else there is what `otherwise` says."""

    name: str
    parts: tuple[str, ...]
    otherwise: str


RELATIONS = (
    # the watermark may be ahead of the wall clock by what a clock may be ahead of ours (R1, R29)
    Relation("retention_ms", ("lateness_ms", "skew_max_ms"), "a late fact could name what is forgotten (R46)"),
    Relation("retention_ms", ("gap_hold_ms",), "a gap would be forgotten while it holds something back (R7)"),
    Relation("retention_ms", ("hold_wall_max_ms",), "what a hold waits for would be forgotten before it is told (R4)"),
    Relation("retention_ms", ("stuck_ms",), "what stands still would be forgotten before it is reported"),
    Relation("skew_max_ms", ("disorder_ms",), "a time that is only out of order would not be believed (R1)"),
    Relation("idle_source_ms", ("disorder_ms",), "a source would leave before all that it has sent is here (R2)"),
    Relation("lateness_ms", ("skew_max_ms",), "records of a clock that is believed would be dead (R29)"),
    Relation("lateness_ms", ("ctx_wait_ms",), "a record would be given up before it is missed (R11)"),
    Relation("hold_wall_max_ms", ("close_hold_ms", "disorder_ms"), "every close would be `incomplete` (R4)"),
    Relation("hold_wall_max_ms", ("ready_hold_ms", "disorder_ms"), "every readiness would be `incomplete` (R4)"),
)


def doubts(site: Site) -> list[Fault]:
    """What to look at again. Nothing is refused: whoever tries a rule out in an hour may want just that."""
    given = msgspec.structs.asdict(site.rules)
    found = [fault for relation in RELATIONS for fault in _of_site(relation, given)]
    for source in site.sources:
        for relation in RELATIONS:
            found += _of_source(relation, given, source.rules.given(), key_path("sources", source.name))
    return found


def _of_site(relation: Relation, site: dict[str, int]) -> Iterable[Fault]:
    least = sum(site[part] for part in relation.parts)
    if site[relation.name] < least:
        needed = f"{' + '.join(relation.parts)} ({least})"
        message = f"should be at least {needed}, is {site[relation.name]}: {relation.otherwise}"
        yield Fault(key_path("rules", relation.name), message)


def _of_source(relation: Relation, site: dict[str, int], own: dict[str, int], path: str) -> Iterable[Fault]:
    """A source's value that asks for more than the site's own, or gives less: named there, where it may be mended."""
    least = sum(own.get(part, site[part]) for part in relation.parts)
    given = own.get(relation.name, site[relation.name])
    if given < min(least, site[relation.name]):
        message = f"should be at least {' + '.join(relation.parts)} ({least}), is {given}: {relation.otherwise}"
        yield Fault(key_path(path, relation.name), message)
        return
    for part in SOURCE_NAMES.intersection(relation.parts, own):
        if own[part] > site[part] and given < least:
            message = f"wants a rules.{relation.name} of at least {least}, is {given}: {relation.otherwise}"
            yield Fault(key_path(path, part), message)
