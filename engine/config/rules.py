"""`[rules]`: the parameters of the rules, under the names that they have there, with their defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

# a year: long enough for any site, and far from overflow in microseconds
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=366 * 86_400_000)]
RateBand = Annotated[int, msgspec.Meta(ge=0, le=1_000)]
# ext/store.pxd: half as much again is reserved, and a free list reaches 2**32 units of 8 bytes
StateBytes = Annotated[int, msgspec.Meta(ge=16 * 1024 * 1024, le=16 * 1024**3)]


class Rules(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How the site turns records into business events. Times ending in `_ms` are milliseconds.

    skew_max_ms: how far a live source's clock may be off before its times are not trusted (then `t_rx` counts).
    disorder_ms: how far out of order the records of one source may come.
    idle_source_ms: after this long without a record a source stops holding the others' decisions back.
    gap_hold_ms: a conclusion drawn from silence inside a gap is held this long.
    dedupe_noseq_ms: reach of the duplicate detection for sources that do not number their records.
    rate_band: a source that sends less than this part, or more than this many times, of its usual records a minute
        raises an exception (4: less than a quarter, more than four times); 0: it is not watched.
    ctx_wait_ms: how long a device record may wait for its order or task before an exception says that it is missing.
    close_hold_ms: how long a carton's close waits for picks in flight, the scale and the label.
    ready_hold_ms: how long a shipment's readiness must last before it is told.
    hold_wall_max_ms: wall-clock bound of both holds, and of any wait for a source whose clock lags.
    lateness_ms: a fact that is late by no more than this still corrects what was told.
    retention_ms: how long finished windows are remembered, so that revisions count on.
    expectation_ttl_ms: how long a stock expectation can be held against a count or a short.
    stuck_ms: an order, carton or shipment that stays in one state this long raises an exception that says what it
        waits for; 0: never.
    pick_stall_ms: a pick task that stands still this long raises an alarm; it decides nothing.
    loops_max: recirculations of one item before an exception.
    ident_wait_ms: how long an item that was not read may still be identified.
    short_on_close: closing the destination carton closes an unfinished pick as a short.
    short_at_cutoff: the wave's cutoff closes an unfinished pick as a short.
    partial_load: a trailer that closes with only a part of a shipment inside: `hold` waits for the rest or for the
        TMS's result, `emit` tells the manifest with the cartons that were left behind.
    closing_points: read points (`point` of scan.read) that stand for a carton's close where none was told: sealer exit,
        labeller, shipping sorter.
    state_bytes_max: cap of windows and their names in bytes; the oldest finished windows go first, planned work never.
    """

    skew_max_ms: Milliseconds = 5_000
    disorder_ms: Milliseconds = 2_000
    idle_source_ms: Milliseconds = 5_000
    gap_hold_ms: Milliseconds = 300_000
    dedupe_noseq_ms: Milliseconds = 600_000
    rate_band: RateBand = 0
    ctx_wait_ms: Milliseconds = 600_000
    close_hold_ms: Milliseconds = 5_000
    ready_hold_ms: Milliseconds = 5_000
    hold_wall_max_ms: Milliseconds = 30_000
    lateness_ms: Milliseconds = 86_400_000
    retention_ms: Milliseconds = 604_800_000
    expectation_ttl_ms: Milliseconds = 14_400_000
    pick_stall_ms: Milliseconds = 900_000
    stuck_ms: Milliseconds = 0
    loops_max: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 3
    ident_wait_ms: Milliseconds = 600_000
    short_on_close: bool = False
    short_at_cutoff: bool = False
    partial_load: Literal["hold", "emit"] = "hold"
    closing_points: tuple[str, ...] = ()
    state_bytes_max: StateBytes = 536_870_912

    def given(self) -> dict[str, Any]:
        """All parameters by name, as the core takes them."""
        return msgspec.structs.asdict(self)


class SourceRules(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The parameters that one source may have its own way, in its own table; what is not given is the site's."""

    skew_max_ms: Milliseconds | UnsetType = UNSET
    disorder_ms: Milliseconds | UnsetType = UNSET
    idle_source_ms: Milliseconds | UnsetType = UNSET
    gap_hold_ms: Milliseconds | UnsetType = UNSET
    dedupe_noseq_ms: Milliseconds | UnsetType = UNSET
    rate_band: RateBand | UnsetType = UNSET

    def given(self) -> dict[str, int]:
        """Only what the source's table says."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not UNSET}


SITE_NAMES = frozenset(Rules.__struct_fields__)
SOURCE_NAMES = frozenset(SourceRules.__struct_fields__)
