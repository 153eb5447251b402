"""The traps of the rules' section 13, and what shows each."""

from __future__ import annotations

TRAPS = {  # a folder of tests/cases, or file:test where the trap lies before the canonical record
    "8-bit sequence wrap taken for duplicates": "R05_numbers_beyond_eight_bits_are_not_duplicates",
    "a birth snapshot taken for events": "tests/unit/test_mqtt_decode.py:test_retained_messages_are_passed_over_unless_"
    "accepted",
    "an old death after a new birth": "R02_an_old_death_after_a_new_birth",
    "backlog closing live windows": "R02_hist_moves_no_watermark",
    "the zero-pick short": "R23_zero_picks_and_a_short",
    "short_on_close off": "R21c_short_on_close_is_off",
    "a cancel that arrives after but is effective before a pick": "R27_cancel_effective_before_a_pick_that_came_first",
    "a tote reused while a pick of its last cycle is in flight": "R40_a_tote_is_reused_while_a_pick_is_in_flight",
    "a no-read, two loops, then a manual identification after the carton closed": "R60_a_no_read_two_loops_and_a_name_"
    "after_the_close",
    "lost then stray": "R64_lost_then_stray",
    "a carton in two plans": "R53_a_carton_in_two_plans",
    "a count between two picks that arrive later": "R71_a_count_between_two_picks_that_arrive_later",
    "ready, reopened, ready again": "R52_ready_reopened_ready_again",
    "a gap exactly over the closing scan": "R07_a_gap_exactly_over_the_closing_scan",
    "a clock that jumps back": "R01_clock_that_jumps_back",
    "the same SKU on two lines of one order": "R20_the_same_sku_on_two_lines",
    "partial load at trailer close": "R54_partly_loaded_is_held",
    'sequence "9" > "10" as text': "R80_nine_comes_before_ten",
    "a torn register read": "tests/integration/test_modbus_driver.py:test_a_torn_block_is_read_again",
    "a quiet WMS that must not hold the watermark": "R02_quiet_wms_does_not_hold_the_watermark",
    "a short re-tasked at another place": "R50_a_short_is_picked_at_another_place",
    "a late pick that turns a ready shipment's short into packed": "R52_a_late_pick_turns_a_short_into_packed",
    "a piece that follows an operator's short": "R26_a_piece_that_follows_an_operators_short",
    "a track number reused after 65 535": "R60_a_track_number_is_used_again",
    "a planned carton that is never used": "R50_a_planned_carton_that_is_never_used",
}
