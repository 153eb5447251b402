"""The golden cases told again: later and in another order (R3), and by a core that is stopped and goes on.

`SORTLINE_EXAMPLES=1000` cuts every case before each of its records; the default takes a sample.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.cases.pending import PENDING
from tests.cases.test_cases import FOLDERS, rows, rules_of, table, through_core, until_of
from tests.oracle.compare import bare, last_revisions, means_nothing
from tests.property.test_snapshot import told

EXAMPLES = int(os.environ.get("SORTLINE_EXAMPLES", "60"))
CUTS_ALL, CUTS, RETELLINGS = 1000, 2, max(2, EXAMPLES // 20)
DELAY_US = 1_500_000  # less than `disorder_ms`
ARRIVAL_DECIDES = {
    "R01_clock_that_jumps_back": "R1: who is not believed happened when it was received",
    "R01_context_from_the_future_happens_when_it_is_received": "R1",
    "R01_time_in_the_future": "R1",
    "R02_an_old_death_after_a_new_birth": "R2: a death that comes before the new life is one",
    "R03_then_the_arrival": "R3: nothing else is left to order them by",
    "R05_a_counter_that_begins_anew_in_a_telegram": "R5: of several with one number the first that comes counts",
    "R06_a_number_fills_a_place_of_its_own_epoch": "R7: the deadline may be decided before the jump is seen",
    "R07_a_readiness_that_ended_inside_a_gap": "R7: it may be told before the jump is seen",
    "R07_all_since_its_last_record_is_blind": "R7: the deadline may be decided before the link is found down",
    "R10_same_rev_other_content_stays_out": "R10: the first content of a rev stays",
    "R28_reversals_of_a_source_that_does_not_number": "R1: one without `t` happened when it was received",
    "R29_a_manifest_that_comes_after_a_later_pick": "R52: a manifest that comes first leaves no unready to be told",
    "R51_the_first_of_seventeen_plans_of_a_carton": "R10: a revision that a higher one has overtaken is outdated",
    "R51_the_first_of_seventeen_plans_of_a_shipment": "R10: likewise",
    "R52_a_loss_and_a_cancel_that_are_heard_of_before_the_manifest": "R52: the loss, if it comes first",
    "R52_a_void_at_the_very_moment_of_the_manifest": "R52: a void that comes first leaves an unready",
    "R53_a_carton_is_moved_and_its_manifest_comes_late": "R52: a manifest that comes first, no unready",
    "R54_a_manifest_while_a_number_is_on_its_way": "R52: one that comes before the close, no readiness",
    "R55_loaded_and_manifested_before_the_watermark": "R52: likewise one that comes before the load",
    "R56_a_cancel_behind_the_trailer": "R56: a cancel that comes first leaves an unready",
    "R56_a_cancel_right_behind_a_manifest_of_that_moment": "R56: likewise; a cancel that comes first leaves an unready",
    "R56_a_manifest_that_comes_after_its_cancel": "R56: a manifest that comes first leaves no unready to be told",
}


def has_backlog(folder: Path) -> bool:
    """A backlog has its order: how late it comes decides what was told before."""
    return any(record.get("hist") for record in rows(folder / "input.ndjson"))


RETOLD = [folder for folder in FOLDERS if folder.name not in ARRIVAL_DECIDES | PENDING and not has_backlog(folder)]


def said(folder: Path, records: list[dict[str, Any]]) -> dict[str, tuple[Any, str]]:
    """`data` and `time` of the last revisions, by id without its revision."""
    lasts = last_revisions(through_core(folder, records).events)
    return {
        id_: (event["data"], event["time"])
        for id_, event in lasts.items()
        if not means_nothing(bare(event["type"]), event["data"])
    }


def delayed(records: list[dict[str, Any]], draw: random.Random) -> list[dict[str, Any]]:
    late = [record | {"t_rx": record["t_rx"] + draw.randrange(DELAY_US)} for record in records]
    return sorted(late, key=lambda record: record["t_rx"])


@pytest.mark.parametrize("folder", RETOLD, ids=lambda folder: folder.name)
def test_R03_delayed_within_the_disorder_it_says_the_same(folder: Path) -> None:
    records = rows(folder / "input.ndjson")
    as_told = said(folder, records)
    for seed in range(RETELLINGS):
        assert said(folder, delayed(records, random.Random(f"{folder.name} {seed}"))) == as_told, f"seed {seed}"


def test_what_is_left_out_is_there() -> None:
    assert ARRIVAL_DECIDES.keys() <= {folder.name for folder in FOLDERS}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_stopped_before_any_record_it_says_the_same_bytes(folder: Path) -> None:
    records, rules, sources = rows(folder / "input.ndjson"), rules_of(folder), table(folder / "sources.json")
    until_us = until_of(folder)
    cuts = list(range(len(records)))
    if EXAMPLES < CUTS_ALL:
        cuts = random.Random(folder.name).sample(cuts, min(CUTS, len(cuts)))
    never_stopped = told(records, rules, set(), list(sources.items()), until_us)
    for cut in cuts:
        assert told(records, rules, {cut}, list(sources.items()), until_us) == never_stopped, f"before record {cut}"
