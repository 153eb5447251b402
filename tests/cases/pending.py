"""Cases that the core does not hold yet, and why. Each must fail: one that passes is struck off here (strict)."""

from __future__ import annotations

PENDING: dict[str, str] = {}
