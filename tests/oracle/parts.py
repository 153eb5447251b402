"""Cuts the facts into parts that have nothing to do with each other, so that judging each moment stays affordable."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from tests.oracle.facts import Fact, Record

NAMES = ("order", "task", "lu", "carton", "shipment", "trailer", "wave")


def names(record: Record) -> set[Hashable]:
    """Everything that a record speaks of."""
    found: set[Hashable] = {(name, record[name]) for name in NAMES if record.get(name)}
    found |= {("lu", lu) for lu in (record.get("from_lu"), record.get("parent"), *record.get("codes", ())) if lu}
    for nested in ("alloc", "contents", "scope"):
        for part in record[nested] if isinstance(record.get(nested), list) else ():
            found |= {(name, part[name]) for name in ("task", "order", "lu") if part.get(name)}
    found |= {("order", order) for order in record.get("orders", ())}
    if "#" in record.get("carton", ""):  # a carton without an id goes by its key
        found.add(("lu", record["carton"].rpartition("#")[0]))
    if record.get("track"):
        found.add((record["src"], record.get("epoch", 0), record["track"]))
    return found


def cut(facts: Iterable[Fact]) -> list[list[Fact]]:
    """Connected facts stand together, each part in the order given."""
    parent: dict[Hashable, Hashable] = {}

    def root(name: Hashable) -> Hashable:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    facts = list(facts)
    for fact in facts:
        first, *others = [root(name) for name in names(fact.record)] or [fact.arrival]
        for other in others:
            parent[root(other)] = root(first)
    parts: dict[Hashable, list[Fact]] = {}
    for fact in facts:
        spoken = names(fact.record)
        if spoken:
            parts.setdefault(root(next(iter(spoken))), []).append(fact)
    return list(parts.values())
