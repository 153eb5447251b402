# cython: boundscheck=False, wraparound=False
"""What time does: see due.pxd. Hot: `due_by_watermark`, `due_outside_orders`."""

from libc.stdint cimport int64_t

from ext cimport (
    carton_alarms, cartons, discrepancies, diverts, equipment, gaps, inventory, legality, line_windows, manifests,
    pick_alarms, pick_events, picks, post_ship, rates, refused_moves, returns, shipments, sights, stuck, touches,
    tracks, trailers,
)
from ext.effects cimport TAG_DEAD, TAG_MISSING
from ext.floor cimport Floor
from ext.premises_data cimport Finding, Place, Scan, Signal
from ext.sources cimport Gap, Multiread, Source, TrackLife
from ext.state cimport B_WINDOW, Cycle, Fact, Line, PickWindow, Shipment, Waiting
from ext.store cimport List, head_of, length, nth


cdef class Due(Effects):
    cdef int tell_deferred(self) except -1:
        """R11: picks that waited for their context take effect together; one by one they would look like shorts."""
        cdef List* deferred = self.state.deferred
        cdef PickWindow* window
        cdef int k
        self.state.deferring = False
        self.state.deferred = NULL
        for k in range(length(deferred)):
            window = <PickWindow*>nth(deferred, k)
            self.floor.troubled(window).deferred = False
            picks.decide(self.floor, window, window.trouble.deferred_cause)
            self.floor.troubled(window).deferred_cause = NULL
        self.floor.store.free(deferred)
        return 0

    cdef int ask_held(self) except -1:
        """R7: the open gaps are not what they were; all that waits for one is judged again."""
        cdef List* held = self.state.held
        cdef PickWindow* window
        cdef Shipment* shipment
        cdef int k
        self.state.held = NULL
        self.state.gaps_changed = False
        for k in range(length(held)):
            if head_of(nth(held, k)).type == B_WINDOW:
                window = <PickWindow*>nth(held, k)
                self.floor.troubled(window).gap_held = False
                picks.decide_closing(self.floor, window, window.trouble.held_t)
            else:
                shipment = <Shipment*>nth(held, k)
                shipment.held = False
                shipments.release_held(self.floor, shipment)
        self.floor.store.free(held)
        return 0

    cdef int due_by_watermark(self) except -1:
        """R4: the watermark has passed a timer of an order's windows (tasks, cartons, shipments, trailers), or of something else."""
        cdef Floor floor = self.floor
        cdef void* target = floor.by_watermark.pop()
        cdef int tag = floor.by_watermark.tag
        cdef int64_t value = floor.by_watermark.value
        if tag == picks.TAG_CLOSING:                    # R21
            picks.decide_closing(floor, <PickWindow*>target, value)
            if length(self.state.mismatched):
                carton_alarms.check_mismatched(floor)
        elif tag == pick_alarms.TAG_STALL or tag == pick_alarms.TAG_ALARMS or tag == pick_alarms.TAG_COVER:
            pick_alarms.due(floor, target, tag)         # R22, R24, R27, R31
        elif tag == post_ship.TAG_LATE:                 # R29
            self.judge_late(<Fact*>target, value)
        elif tag == cartons.TAG_TRANSITION:             # R43, R44
            cartons.decide(floor, <Cycle*>target, NULL)
        elif tag == cartons.TAG_CHECK:                  # R41, R45
            carton_alarms.check(floor, <Cycle*>target)
        elif tag == cartons.TAG_VOID:                   # R56
            cartons.decide_void(floor, <Fact*>target)
        elif tag == cartons.TAG_LABEL:                  # R45, R46
            carton_alarms.check_label(floor, <Fact*>target)
        elif tag == touches.TAG_TOUCH:                  # R51, R52
            shipments.on_touch(floor, <Shipment*>target, value)
        elif tag == shipments.TAG_READY:                # R51
            shipments.on_hold_over(floor, <Shipment*>target, value, False)
        elif tag == manifests.TAG_PASSED:               # R54
            manifests.on_passed(floor, <Shipment*>target, value)
        elif tag == trailers.TAG_LOAD:                  # R55
            trailers.on_load(floor, <Fact*>target)
        elif tag == trailers.TAG_CLOSED:                # R54
            trailers.on_closed(floor, <Fact*>target, False)
        elif tag == line_windows.TAG_IN_ORDER:          # R20
            self.take_in_order(<Waiting*>target)
        elif tag == line_windows.TAG_FIRST_TASK:        # R20
            line_windows.judge(floor, <Line*>target)
        else:
            self.due_outside_orders(target, tag, value)
        return 0

    cdef int due_outside_orders(self, void* target, int tag, int64_t value) except -1:
        """R4: the same of sources, tracks, sights, equipment, stock and returns, and of what is stuck or refused (section 10)."""
        cdef Floor floor = self.floor
        if tag == gaps.TAG_GAPS_SURE:                   # R6
            gaps.look_at_jumps(floor, <Source*>target, value)
        elif tag == gaps.TAG_GAP_FORGOTTEN:             # R6
            gaps.make_sure(floor, <Gap*>target)
        elif tag == tracks.TAG_RESOLVE:                 # R60
            tracks.on_passed(floor, <Fact*>target)
        elif tag == tracks.TAG_UNRESOLVED:              # R60
            tracks.give_up(floor, <TrackLife*>target, floor.by_watermark.due)
        elif tag == diverts.TAG_ITEM:                   # R61, R62
            diverts.judge(floor, <Fact*>target)
        elif tag == tracks.TAG_MULTIREAD:               # R63
            tracks.on_multiread_passed(floor, <Multiread*>target)
        elif tag == sights.TAG_READ:                    # R63
            sights.on_read(floor, <Fact*>target)
        elif tag == sights.TAG_LOST:                    # R64
            sights.judge(floor, <Fact*>target)
        elif tag == equipment.TAG_SIGNAL:               # R65, R66
            equipment.apply(floor, <Signal*>target)
        elif tag == pick_events.TAG_SHORT_TOLD:         # R70
            inventory.take_short(floor, <PickWindow*>target)
        elif tag == inventory.TAG_DECIDE:               # R66, R71
            discrepancies.decide(floor, <Finding*>target, False)
        elif tag == inventory.TAG_JUDGE:                # R66, R70, R71
            discrepancies.judge(floor, <Place*>target, (<Place*>target).cause)
        elif tag == inventory.TAG_PRUNE:                # what is over is forgotten
            inventory.prune_idle(floor, <Place*>target, floor.by_watermark.due)
        elif tag == returns.TAG_SCANNED:                # R72
            returns.judge_scan(floor, <Scan*>target)
        elif tag == returns.TAG_AUTHORISED:             # R72
            returns.judge_authorised(floor, <Fact*>target)
        elif tag == stuck.TAG_STUCK or tag == stuck.TAG_MOVED:      # section 10
            stuck.look(floor, target)
        elif tag == legality.TAG_LEGAL:                 # section 10
            refused_moves.judge(floor, <Fact*>target)
        elif tag == legality.TAG_USE:                   # section 10
            refused_moves.take_up(floor, <Fact*>target)
        return 0

    cdef int due_by_wall(self) except -1:
        """R4: what the wall clock decides alone: the bounds of waits (`hold_wall_max_ms`, `gap_hold_ms`, `ctx_wait_ms`, `lateness_ms`),
        and the minutes of watched sources. A bound changes nothing where the watermark has been faster."""
        cdef Floor floor = self.floor
        cdef void* target = floor.by_wall.pop()
        cdef int tag = floor.by_wall.tag
        cdef int64_t value = floor.by_wall.value
        if tag == picks.TAG_CLOSING:                    # R21
            if self.state.watermark <= value:
                picks.force(self.floor, <PickWindow*>target, value)
                picks.decide_closing(floor, <PickWindow*>target, value)
        elif tag == cartons.TAG_TRANSITION:             # R43, R44
            if self.state.watermark <= value + floor.rules.close_hold:
                cartons.force(floor, <Cycle*>target, value)
                cartons.decide(floor, <Cycle*>target, NULL)
        elif tag == cartons.TAG_VOID:                   # R56
            cartons.force_void(floor, <Fact*>target)
        elif tag == gaps.TAG_GAP_HOLD:                  # R7
            if head_of(target).type == B_WINDOW:
                picks.decide_closing(floor, <PickWindow*>target, value)
            else:
                shipments.on_gap_hold_over(floor, <Shipment*>target, value)
        elif tag == trailers.TAG_CLOSED:                # R54
            if self.state.watermark <= value:
                trailers.on_closed(floor, <Fact*>target, True)
        elif tag == touches.TAG_FORCE:                  # R51, R52
            shipments.on_bound(floor, <Shipment*>target, value)
        elif tag == line_windows.TAG_IN_ORDER:          # R20
            self.take_in_order(<Waiting*>target)
        elif tag == line_windows.TAG_FIRST_TASK:        # R20
            line_windows.judge(floor, <Line*>target)
        elif tag == TAG_MISSING or tag == TAG_DEAD:     # R11
            self.missing(<Waiting*>target, tag == TAG_DEAD)
        elif tag == rates.TAG_MINUTE:                   # how often a source speaks
            rates.minute_over(floor, <Source*>target, floor.by_wall.due)
        elif tag == inventory.TAG_DECIDE:               # R66, R71
            discrepancies.decide(floor, <Finding*>target, True)
        elif tag == equipment.TAG_SIGNAL:               # R65, R66
            equipment.apply(floor, <Signal*>target)
        elif tag == tracks.TAG_BOUND:                   # R60, R63
            tracks.on_bound(floor, <Source*>target)
        return 0
