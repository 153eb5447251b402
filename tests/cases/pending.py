"""Cases that the core does not hold yet, and why. Each must fail: one that passes is struck off here (strict)."""

from __future__ import annotations

PENDING = {
    "R52_two_facts_end_a_truth": "of two facts that end a truth the one that arrives first is told",
    "R56_a_void_that_arrives_before_the_bind": "a void is told of the cycle that is known when it arrives",
}
