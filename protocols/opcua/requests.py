"""Requests to a server as asyncua wants them."""

from __future__ import annotations

from collections.abc import Sequence

from asyncua import ua


def reading_of(nodes: Sequence[ua.NodeId], attribute: int) -> ua.ReadParameters:
    """This attribute of the nodes, each with both timestamps, read now and not out of a cache."""
    parameters = ua.ReadParameters()
    parameters.MaxAge = 0
    parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
    parameters.NodesToRead = [ua.ReadValueId(NodeId=node, AttributeId=attribute) for node in nodes]
    return parameters


def acknowledgements_of(messages: Sequence[tuple[int, int]]) -> list[ua.SubscriptionAcknowledgement]:
    """(subscription, message) that the server may forget."""
    return [
        ua.SubscriptionAcknowledgement(SubscriptionId=ua.UInt32(subscription), SequenceNumber=ua.UInt32(number))
        for subscription, number in messages
    ]
