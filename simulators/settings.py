"""How the simulated floor behaves: how often what goes wrong, and how fast everything moves."""

from __future__ import annotations

from dataclasses import dataclass

Span = tuple[float, float]
"""Seconds, from..to; a time is drawn evenly between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What happens on this floor, as shares from 0 to 1 of the thing named."""

    # orders
    consolidated: float = 0.15  # shipments that carry two orders
    same_sku: float = 0.12  # orders with one SKU on two lines
    split: float = 0.12  # lines of two pieces or more that are picked at two places
    taskless: float = 0.05  # lines that the order system plans without tasks
    tolerant: float = 0.25  # lines that allow over-picks
    hold_policy: float = 0.05  # lines that may not ship short
    unplanned: float = 0.05  # shipments whose cartons nobody planned
    totes: float = 0.35  # cartons that are really totes, which come back
    staged: float = 0.6  # shipments that must stand in their lane before they are ready
    replanned: float = 0.05  # shipment plans with a second revision
    # picks
    shorts: float = 0.04  # tasks that end in an operator's short
    found_after_short: float = 0.25  # shorts after which a piece turns up all the same
    over_picks: float = 0.012  # tasks with a piece too many
    over_put_back: float = 0.6  # of these, those that somebody puts right
    reversals: float = 0.015  # tasks where a piece goes back to the shelf
    unsaid_lu: float = 0.1  # picks whose station does not say where the piece went
    # cartons
    opened: float = 0.85  # cartons whose opening is reported
    weighed: float = 0.93
    weighed_late: float = 0.03
    label_noread: float = 0.02  # cartons whose label is read only at the second attempt
    label_late: float = 0.05
    reopened: float = 0.012
    # sorter
    known_at_induct: float = 0.4  # items that the sorter knows before it reads them
    noread: float = 0.02
    loops: float = 0.08  # items that go round once more, and again, and again
    wrong_lane: float = 0.01
    wrong_lane_fixed: float = 0.8
    # shipping
    manifested: float = 0.6  # ready shipments that the carrier takes within the story
    # what the order system changes its mind about: nothing, unless asked for
    orders_cancelled: float = 0.0
    lines_cancelled: float = 0.0
    cancel_known_late: float = 0.5  # of these cancels, those of which the floor hears only after a while
    tasks_replaced: float = 0.0  # tasks that are taken back and planned anew at another place
    shorts_replaced: float = 0.0  # shorts after which the rest is looked for at another place
    quantities_changed: float = 0.0  # tasks of which more is wanted, or less, while somebody is at them
    not_allocated: float = 0.0  # lines with too little stock to plan them whole
    deadlines: float = 0.0  # tasks that the order system does not wait for longer than this
    abandoned: float = 0.0  # tasks that nobody finishes, and nobody says so
    cutoffs: float = 0.0  # shipments whose wave has a cutoff
    # what stations can also do: nothing, unless asked for
    batched: float = 0.0  # shipments where one press serves all tasks of a SKU
    line_only: float = 0.0  # tasks whose station knows the order line only
    presses_named: float = 0.0  # tasks whose presses have names
    witnessed: float = 0.5  # of these presses, those that a second device tells, too
    wrong_sku: float = 0.0  # tasks with a piece of something else
    # cartons: nothing, unless asked for
    weights_planned: float = 0.0  # weighed cartons whose plan says what they must weigh
    weighed_wrong: float = 0.0  # of these, those whose first weighing is wrong
    label_bad: float = 0.0  # cartons whose label stays bad for long
    reopened_untold: float = 0.0  # exchanges of a piece in a closed carton where nobody says that it was opened
    voided_open: float = 0.0
    voided_empty: float = 0.0  # cartons that stayed empty
    rebound: float = 0.0  # totes that are taken for another carton while one is open in them
    # sorter and shipping: nothing, unless asked for
    multiread: float = 0.0  # items with a second code
    lost: float = 0.0  # items that the sorter loses, mostly not for ever
    upset: float = 0.0  # ready shipments that somebody changes before the truck comes
    manifest_corrected: float = 0.0
    voided_after_manifest: float = 0.0
    cancelled_too_late: float = 0.0
    loaded: float = 0.0  # shipments on their way of which the dock tells the loading; the carrier mostly says nothing
    # stock and returns: nothing, unless asked for
    expected_shorts: float = 0.0  # tasks that end short at a place of which the books say something
    counted: float = 0.0  # tasks during which somebody counts the place
    crane_stops: float = 0.0  # moves of the crane that fail
    returns: float = 0.0  # parcels that come back, as a share of the orders


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the site has decided; the engine must be told the same (`[rules]` of the site file, the same names)."""

    short_on_close: bool = False
    short_at_cutoff: bool = False


BUSY = Habits(
    consolidated=0.3,
    same_sku=0.4,
    shorts=0.1,
    over_picks=0.03,
    reversals=0.05,
    reopened=0.05,
    loops=0.15,
    noread=0.08,
    wrong_lane=0.04,
    taskless=0.1,
    unplanned=0.15,
    label_noread=0.06,
    orders_cancelled=0.05,
    lines_cancelled=0.05,
    tasks_replaced=0.04,
    shorts_replaced=0.4,
    quantities_changed=0.06,
    not_allocated=0.06,
    deadlines=0.08,
    abandoned=0.03,
    cutoffs=0.4,
    batched=0.4,
    line_only=0.1,
    presses_named=0.3,
    wrong_sku=0.04,
    weights_planned=0.5,
    weighed_wrong=0.15,
    label_bad=0.05,
    reopened_untold=0.4,
    voided_open=0.02,
    voided_empty=0.3,
    rebound=0.04,
    multiread=0.1,
    lost=0.04,
    upset=0.25,
    manifest_corrected=0.1,
    voided_after_manifest=0.08,
    cancelled_too_late=0.08,
    loaded=0.4,
    expected_shorts=0.05,
    counted=0.05,
    crane_stops=0.1,
    returns=0.2,
)
"""A floor on which everything that a floor can do happens often."""

BUSY_POLICY = Policy(short_on_close=True, short_at_cutoff=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast things move. Causes and effects on different devices lie seconds apart, as they do on a real floor, so
    that their order survives any delay on the way."""

    order_every_s: float = 7.0  # mean time between two releases
    release_to_start_s: Span = (8.0, 20.0)
    travel_s: Span = (3.0, 8.0)  # from one pick station to the next
    press_s: Span = (1.2, 4.0)  # between two presses at one station
    second_thought_s: Span = (6.0, 14.0)  # before somebody puts a piece back, or finds one more
    to_close_s: Span = (6.5, 12.0)  # from the last pick to the packing line
    to_sorter_s: Span = (8.0, 16.0)
    sorter_s: Span = (7.0, 15.0)  # from induction to the lane
    loop_s: Span = (20.0, 35.0)
    manifest_after_s: Span = (600.0, 900.0)  # long after everything about the shipment is known, late news included
    crane_every_s: float = 18.0


LIVE_PACE = Pace(
    order_every_s=4.0,
    release_to_start_s=(4.0, 7.0),
    travel_s=(2.0, 4.0),
    press_s=(0.8, 2.0),
    to_close_s=(3.5, 6.0),
    to_sorter_s=(4.0, 7.0),
    sorter_s=(4.0, 8.0),
    loop_s=(6.0, 10.0),
    second_thought_s=(3.0, 6.0),
    manifest_after_s=(25.0, 45.0),
    crane_every_s=6.0,
)
"""For somebody who watches: the first shipments are ready within a minute and manifested within two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubles:
    """What happens to the messages on their way. None of it changes what happened on the floor.

    `noise`: share of all records. `duplicates`: share of the other records that come a second time. `disorder_ms`: how
    far records may overtake each other. `late_picks`: share of picks that come when their carton has long been closed,
    most of them flagged as backlog (`hist`), the others just slower than the disorder that the engine allows for.
    `late_context`: share of shipments whose orders and tasks are told only after the goods are on their way.
    `lost_chatter`: share of the numbered noise that never comes, so that there are gaps in the numbers. `outages`: how
    often a pick station is cut off for a minute or two; it tells everything afterwards, as backlog. `skewed`: the clock
    of one pick station is an hour fast, and the scale does not number what it says.
    """

    noise: float = 0.0
    duplicates: float = 0.0
    disorder_ms: int = 0
    late_picks: float = 0.0
    late_context: float = 0.0
    lost_chatter: float = 0.0
    outages: int = 0
    skewed: bool = False
