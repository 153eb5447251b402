"""Cases that the core does not hold yet, and why. Each must fail: one that passes is struck off here (strict)."""

from __future__ import annotations

PENDING = {
    "R02_an_old_death_after_a_new_birth": "link.down takes a source out whatever epoch it is of",
    "R20_a_new_revision_leaves_the_task_where_it_was": "a task's next revision moves the time from which it is there",
    "R07_a_gap_of_the_station_that_closed_what_was_packed": "cartons that a pack.confirm filled are not asked for gaps",
    "R51_a_readiness_that_is_held_ends_with_the_cancel": "a readiness held for a gap outlives the shipment's cancel",
    "R51_a_truth_that_ends_with_the_cancel": "a readiness that is due soon outlives the shipment's cancel",
    "R52_two_facts_end_a_truth": "of two facts that end a truth the one that arrives first is told",
    "R54_a_trailer_that_took_nothing": "partial_load = emit: a trailer into which nothing of it went revises the event",
    "R07_a_pick_that_fills_the_gap_after_the_deadline": "a readiness foreseen for a held short is told",
    "R21c_a_task_that_is_told_after_its_carton_was_closed": "a close that came before its task is not asked again",
    "R46_a_fact_for_a_window_that_was_forgotten": "a forgotten window leaves no tombstone",
    "R46_a_task_that_is_told_again_after_it_was_forgotten": "a forgotten window leaves no tombstone",
    "R56_a_void_that_arrives_before_the_bind": "a void is told of the cycle that is known when it arrives",
    "R82_a_voided_carton_cannot_be_closed": "lifecycles refuse nothing",
}
