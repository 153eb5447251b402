"""Differences between core and oracle that are known, each by a case in tests/cases/pending.py.

An entry counts only while its case is pending: what is mended may not differ any more. It looks only at the records
that have to do with what the difference is about, and wants among them the ones that make the case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from tests.cases.pending import PENDING
from tests.stories import Record

Explains = Callable[[str, Sequence[Record], Mapping[str, Any]], bool]
NAMES = {
    "shipment": "shipment",
    "order": "order",
    "carton": "carton",
    "lu": "lu",
    "from_lu": "lu",
    "parent": "lu",
    "task": "task",
}


def _key(difference: str) -> str:
    """Of `shipment.ready S-1: ...` and `shipment.ready shipment/S-1: ...`: S-1."""
    return difference.split(": ")[0].split(" ", 1)[1].rpartition("/")[2]


def _names(record: Record) -> Iterator[tuple[str, str]]:
    for name, names in NAMES.items():
        if isinstance(record.get(name), str):
            yield names, record[name]
    for order in record.get("orders") or ():
        yield "order", order
    for part in ("scope", "contents", "alloc"):
        for entry in record.get(part) or ():
            yield from _names(entry)


def _about(key: str, records: Sequence[Record]) -> list[Record]:
    """Records that name the shipment or carton, or what another of them names."""
    named = {name for record in records for name in _names(record) if name[1] == key.partition("#")[0]}
    while True:
        found = [record for record in records if not named.isdisjoint(_names(record))]
        more = {name for record in found for name in _names(record)} - named
        if not more:
            return found
        named |= more


def _time(record: Record) -> int:
    return int(record["t"] if "t" in record else record["t_rx"])


def _overtaken(earlier: Record, later: Record) -> bool:
    """`later` arrived first."""
    return _time(earlier) < _time(later) and earlier["t_rx"] > later["t_rx"]


KNOWN: dict[str, Explains] = {}


def _reversal_before_its_pick(difference: str, records: Sequence[Record]) -> bool:
    """Not settled by the rules: a reversal that arrives before the pick that begins its cycle opens the earlier carton
    for that moment, where a reopening may be told; the readiness that follows is dated by what ended it."""
    if re.match(r"(shipment\.(un)?ready|carton\.reopened) ", difference) is None:
        return False
    related = _about(_key(difference), records)
    picks = [record for record in related if record["kind"] == "pick.confirm"]
    reversals = [record for record in related if record["kind"] == "pick.reverse"]
    return any(pick.get("lu") == back.get("lu") and _overtaken(pick, back) for pick, back in product(picks, reversals))


def _chosen_before_a_backlog(difference: str, records: Sequence[Record]) -> bool:
    """Not settled by the rules: which task a press that names only its line was for is decided when the watermark
    passes it (R20). A backlog that fills one of them comes later than that, and does not take the choice back."""
    related = _about(_key(difference), records)
    lines = {one["task"]: (one["order"], one["line"]) for one in related if one["kind"] == "pick.task"}
    presses = [one for one in related if one["kind"].startswith("pick.") and "task" not in one and "line" in one]
    backlog = [
        one for one in related if one["kind"].startswith("pick.") and one.get("hist") and one.get("task") in lines
    ]
    return any(
        lines[late["task"]] == (press.get("order"), press["line"]) and _overtaken(late, press)
        for late, press in product(backlog, presses)
    )


LEFT_OPEN = (_reversal_before_its_pick, _chosen_before_a_backlog)


def unknown(differences: Sequence[str], records: Sequence[Record], rules: Mapping[str, Any]) -> list[str]:
    """Those that no pending case explains, and that are not left open by the rules."""
    explains = [explain for case, explain in KNOWN.items() if case in PENDING]
    return [
        one
        for one in differences
        if not any(explain(one, records, rules) for explain in explains)
        and not any(is_open(one, records) for is_open in LEFT_OPEN)
    ]
