"""The functions that run for every record: their lines touch no Python object; tests/tidy/test_hot.py holds them to it.

A name is a function's, or Class.method; it is looked for in the module's own file and in every `.pxd` whose inline
functions the module compiles. A line that runs only for what is rare or refused says so: `# cold` at its end.
"""

from __future__ import annotations

HOT: dict[str, tuple[str, ...]] = {
    # compiled module -> its hot functions
    "ext/ndjson.pyx": (
        "read_object",
        "has_needs",
        "is_there",
        "integer",
        "NdjsonDecoder.reader",
        "NdjsonDecoder.leave_payload",
        "NdjsonDecoder.fill_payload",
        "NdjsonDecoder.text",
        # record_types.pxd
        "find",
        "fits",
        # json_reader.pxd, json_scalars.pxd
        "name_words",
        "next_member",
        "push_key",
        "read_key",
        "read_value",
        "read_text",
        "skip_space",
        "take",
    ),
    "ext/texts.pyx": ("Texts.slot_of",),
    "ext/core.pyx": ("Core.take_row",),
    "ext/clocks.pyx": ("Clocks.arrive", "Clocks.follow_sources", "Clocks.advance_watermark"),
    "ext/payloads.pyx": ("step_over", "Payloads.read_members", "Payloads.place"),
    "ext/seen.pyx": ("add", "add_number"),
    "ext/effects.pyx": ("Effects.fact_of", "Effects.apply_pick"),
    "ext/outcomes.pyx": ("outcome", "walk", "count_pick"),
    "ext/cycles.pyx": ("place_fact", "joins_running", "cycle_for"),
    "ext/sights.pyx": ("note", "keep_latest", "joins_nothing", "let_go"),
    "ext/shipments.pyx": ("touch_cycle",),
    "ext/touches.pyx": ("touch", "touch_line"),
    "ext/store.pyx": ("Store.new", "Store.new_raw", "Store.take_free", "Store.room", "Store.insert", "Store.put"),
    "ext/timers.pyx": ("Timers.push", "Timers.place", "Timers.turn", "Timers.is_due", "Timers.into_heap", "Timers.pop"),
}
