"""How many nodes or items one call may name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from asyncua import ua

from ext.opcua_values import Reading

NODES_PER_CALL = 500
NODES_PER_BROWSE = 100
OPERATION_LIMITS = [
    # MaxNodesPerRead, MaxNodesPerTranslateBrowsePathsToNodeIds, MaxMonitoredItemsPerCall, MaxNodesPerBrowse
    *(ua.NodeId(number, 0) for number in (11705, 11712, 11714, 11710)),
]


class CallLimits(NamedTuple):
    """Nodes or items in one call."""

    read: int = NODES_PER_CALL
    translate: int = NODES_PER_CALL
    monitor: int = NODES_PER_CALL
    browse: int = NODES_PER_BROWSE


def limits_told(readings: Sequence[Reading]) -> CallLimits:
    """Of the values of `OPERATION_LIMITS`; a server that names no limit, or 0, gets ours."""
    return CallLimits(*(_limit(got) for got in readings))


def _limit(got: Reading) -> int:
    value = got.value
    return min(value, NODES_PER_CALL) if isinstance(value, int) and value > 0 and not got.bad else NODES_PER_CALL
