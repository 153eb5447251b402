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


def _filled_after_the_deadline(difference: str, records: Sequence[Record], rules: Mapping[str, Any]) -> bool:
    timed = any("deadline" in record or "cutoff" in record for record in records)
    return difference.startswith("shipment.ready") and timed and "gap_hold_ms" in rules


def _void_before_its_bind(difference: str, records: Sequence[Record], rules: Mapping[str, Any]) -> bool:
    return difference.startswith("carton.voided") and bool({"lu.bind", "carton.plan"} & _kinds(records))


KNOWN: dict[str, Explains] = {
    "R52_two_facts_end_a_truth": _two_facts,
    "R07_a_pick_that_fills_the_gap_after_the_deadline": _filled_after_the_deadline,
    "R56_a_void_that_arrives_before_the_bind": _void_before_its_bind,
}


def _reversal_before_its_pick(difference: str, records: Sequence[Record]) -> bool:
    """Not settled by the rules: a reversal that arrives before the pick that begins its cycle opens the earlier carton
    for that moment, and the readiness that follows is dated by what ended it."""
    overtaken = any(
        back["kind"] == "pick.reverse"
        and any(
            pick["kind"] == "pick.confirm" and pick.get("t", 0) < back.get("t", 0) and pick["t_rx"] > back["t_rx"]
            for pick in records
        )
        for back in records
    )
    return overtaken and re.match(r"shipment\.(un)?ready ", difference) is not None


def unknown(differences: Sequence[str], records: Sequence[Record], rules: Mapping[str, Any]) -> list[str]:
    """Those that no pending case explains, and that are not left open by the rules."""
    explains = [explain for case, explain in KNOWN.items() if case in PENDING]
    return [
        one
        for one in differences
        if not any(explain(one, records, rules) for explain in explains) and not _reversal_before_its_pick(one, records)
    ]
