"""Holds the core against the oracle; where they disagree, the smallest story on which they do is printed as NDJSON.

`SORTLINE_EXAMPLES=2000` makes the long run (`make campaign`); the default is what the whole of the tests can afford.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tests.minimise import minimise, show
from tests.oracle import account, expected
from tests.oracle.compare import differences
from tests.stories import SITE, Record
from tests.through_core import Outcome, feed

EXAMPLES = int(os.environ.get("SORTLINE_EXAMPLES", "130"))
LONG = EXAMPLES > 200
TERMS = ("used", "duplicate", "late", "rejected", "noise", "open")


def example_count(share: float) -> settings:
    """`share` of the examples; the long run draws other ones each time."""
    return settings(
        max_examples=max(5, round(EXAMPLES * share)),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=not LONG,
        phases=[Phase.explicit, Phase.generate],  # tests.minimise shrinks better: it knows records
    )


relaxed = example_count(1)
seeds = st.integers(0, 2**32)


def agree(records: Sequence[Record], rules: Mapping[str, Any], late: bool = False, keep_gaps: bool = False) -> Outcome:
    """`late`: see compare.differences. `keep_gaps`: numbers are missing on purpose."""

    def differs(told: Sequence[Record]) -> list[str]:
        return differences(feed(told, rules=rules).events, expected(told, SITE, rules), late)

    outcome = feed(records, rules=rules)
    assert outcome.refused == []
    assert_account(outcome, records, rules)
    if first := differs(records):
        about = subject(first[0])
        small = minimise(records, lambda told: any(subject(one) == about for one in differs(told)), keep_gaps)
        pytest.fail(
            "\n".join([*first, "the smallest:", *differs(small), f"rules: {dict(rules)}", show(small), ndjson(small)]),
            pytrace=False,
        )
    return outcome


def subject(difference: str) -> str:
    """What it is about, without key and values."""
    thing, _, what = difference.partition(": ")
    return f"{thing.partition(' ')[0]} {re.split(r' is |;', what)[0]}"


def assert_account(outcome: Outcome, records: Sequence[Record], rules: Mapping[str, Any]) -> None:
    """R82: every record stands in exactly one term, and the oracle counts the same."""
    counted, wanted = outcome.account, account(records, rules)
    assert counted["in"] == sum(counted[term] for term in TERMS) == len(records)
    for term in ("noise", "duplicate", "late", "rejected"):
        assert counted[term] == wanted[term], term


def ndjson(records: Sequence[Record]) -> str:
    """To be replayed by hand."""
    return "\n".join(json.dumps(record, sort_keys=True, separators=(",", ":")) for record in records)
