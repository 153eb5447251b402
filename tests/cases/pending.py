"""Cases that the core does not hold yet, and why. Each must fail: one that passes is struck off here (strict)."""

from __future__ import annotations

PENDING = {
    "R07_a_pick_that_fills_the_gap_after_the_deadline": "a readiness foreseen for a held short is told",
}
