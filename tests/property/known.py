"""Differences between core and oracle that are known, each by a case in tests/cases/pending.py.

An entry counts only while its case is pending: what is mended may not differ any more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.cases.pending import PENDING
from tests.stories import Record

Explains = Callable[[str, Sequence[Record], Mapping[str, Any]], bool]


def _kinds(records: Sequence[Record]) -> set[str]:
    return {record["kind"] for record in records}


def _two_facts(difference: str, records: Sequence[Record], rules: Mapping[str, Any]) -> bool:
    return re.match(r"shipment.unready \S+: (time|data.cause) is ", difference) is not None


def _held_and_cancelled(difference: str, records: Sequence[Record], rules: Mapping[str, Any]) -> bool:
    found = re.match(r"shipment.ready (?:shipment/)?(\S+): (not expected|time|after)", difference)
    cancelled = {record["shipment"] for record in records if record["kind"] == "shipment.cancelled"}
    return found is not None and found[1] in cancelled


def _packed_in_a_gap(difference: str, records: Sequence[Record], rules: Mapping[str, Any]) -> bool:
    of_ready = re.match(r"shipment.(un)?ready shipment/\S+: not expected", difference)
    return of_ready is not None and "pack.confirm" in _kinds(records) and "gap_hold_ms" in rules


def _filled_after_the_deadline(difference: str, records: Sequence[Record], rules: Mapping[str, Any]) -> bool:
    timed = any("deadline" in record or "cutoff" in record for record in records)
    return difference.startswith("shipment.ready") and timed and "gap_hold_ms" in rules


def _trailer_that_took_nothing(difference: str, records: Sequence[Record], rules: Mapping[str, Any]) -> bool:
    of_trailer = re.match(r"shipment.manifested \S+: (time|data.trailer|data.seal) is ", difference)
    return of_trailer is not None and rules.get("partial_load") == "emit" and "load.removed" in _kinds(records)


def _task_revised(difference: str, records: Sequence[Record], rules: Mapping[str, Any]) -> bool:
    """A press that names only its line went to another task of it; what else of that line differs comes from there."""
    revised = {r["order"] for r in records if r["kind"] == "pick.task" and r["rev"] > 1}
    nameless = {
        part["order"]
        for record in records
        for part in record.get("alloc") or [record]
        if record["kind"] in ("pick.confirm", "pick.reverse", "pick.short") and "order" in part and "task" not in part
    }
    return bool(revised & nameless)


def _void_before_its_bind(difference: str, records: Sequence[Record], rules: Mapping[str, Any]) -> bool:
    return difference.startswith("carton.voided") and bool({"lu.bind", "carton.plan"} & _kinds(records))


KNOWN: dict[str, Explains] = {
    "R52_two_facts_end_a_truth": _two_facts,
    "R51_a_readiness_that_is_held_ends_with_the_cancel": _held_and_cancelled,
    "R51_a_truth_that_ends_with_the_cancel": _held_and_cancelled,
    "R07_a_gap_of_the_station_that_closed_what_was_packed": _packed_in_a_gap,
    "R07_a_pick_that_fills_the_gap_after_the_deadline": _filled_after_the_deadline,
    "R56_a_void_that_arrives_before_the_bind": _void_before_its_bind,
    "R54_a_trailer_that_took_nothing": _trailer_that_took_nothing,
    "R20_a_new_revision_leaves_the_task_where_it_was": _task_revised,
}


def unknown(differences: Sequence[str], records: Sequence[Record], rules: Mapping[str, Any]) -> list[str]:
    """Those that no pending case explains."""
    explains = [explain for case, explain in KNOWN.items() if case in PENDING]
    return [one for one in differences if not any(explain(one, records, rules) for explain in explains)]
