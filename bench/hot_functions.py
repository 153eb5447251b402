"""The functions that run for every record: their lines touch no Python object; tests/tidy/test_hot.py holds them to it.

A name is a function's, or Class.method; it is looked for in the module's own file and in every `.pxd` whose inline
functions the module compiles. A line that runs only for what is rare or refused says so: `# cold` at its end.
"""

from __future__ import annotations

HOT: dict[str, tuple[str, ...]] = {
    # compiled module -> its hot functions
    "ext/ndjson.pyx": (
        "NdjsonDecoder.reader",
        "NdjsonDecoder.line",
        "NdjsonDecoder.check_presence",
        "NdjsonDecoder.add_row",
        "NdjsonDecoder.add_payload",
        "NdjsonDecoder.text",
        "NdjsonDecoder.interned",
        # record_fields.pxd, record_types.pxd
        "read_object",
        "has_needs",
        "is_there",
        "integer",
        "RecordTypes.kind_of",
        "Batch.begin_row",
        "Batch.leave_empty",
        "fits_at_once",
        "stands_at",
        # json_reader.pxd, json_scalars.pxd, json_bytes.pxd
        "next_member",
        "read_value",
        "read_text",
        "read_number",
        "read_digits",
        "plain_end",
        "skip_space",
        "stands",
        # texts.pxd
        "Texts.intern",
        "Texts.slot_of",
        "mix",
        "same",
    ),
    "ext/canonical_lines.pyx": (
        "CanonicalLines.write",
        "CanonicalLines.add_constants",
        "CanonicalLines.is_sound",
        "CanonicalLines.write_line",
        "read_object",
    ),
    "ext/record_types.pyx": ("RecordTypes.read_name", "find"),
    "ext/batch.pyx": ("Batch.end_row", "Batch.names_of"),
    "ext/core.pyx": ("Core.take_row", "Clocks.ask_for_source"),
    "ext/clocks.pyx": ("Clocks.arrive", "Clocks.follow_sources", "Clocks.advance_watermark"),
    "ext/payloads.pyx": ("step_over", "read_member", "Payloads.read_members", "Payloads.place"),
    "ext/seen.pyx": ("add", "add_number"),
    "ext/effects.pyx": ("Effects.fact_of", "Effects.apply_pick"),
    "ext/outcomes.pyx": ("outcome", "walk", "count_pick", "close_when_full", "follow_close"),
    "ext/cycles.pyx": ("place_fact", "joins_running", "cycle_for"),
    "ext/sights.pyx": ("note", "keep_glimpse", "joins_nothing", "let_go"),
    "ext/shipments.pyx": ("touch_cycle",),
    "ext/touches.pyx": ("touch", "touch_line"),
    "ext/store.pyx": ("Store.new", "Store.new_raw", "Store.take_free", "Store.room", "Store.insert", "Store.put"),
    "ext/timers.pyx": ("Timers.push", "Timers.place", "Timers.turn", "Timers.is_due", "Timers.into_heap", "Timers.pop"),
}
