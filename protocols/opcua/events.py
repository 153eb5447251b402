"""One `[[events]]` entry at work: what is asked of the server, and the record of each event. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asyncua import ua

from protocols.mapping.plan import RecordPlan
from protocols.opcua.harvest import Harvest
from protocols.opcua.names import Path, Step
from protocols.opcua.settings import Events

BASE_EVENT_TYPE = ua.NodeId(2041, 0)
OVERFLOW_EVENT_TYPE = "i=3035"  # EventQueueOverflowEventType, OPC 10000-5 section 6.4.29
REFRESH_BEGINS, REFRESH_ENDS, REFRESH_REQUIRED = "i=2787", "i=2788", "i=2789"  # OPC 10000-9 section 5.11

_OWN: tuple[Path, ...] = tuple((Step(0, name),) for name in ("EventType", "Time", "ReceiveTime"))


class EventsRecord:
    """`fields`: name -> path inside the event type, in the order in which they are asked for.

    `unsure`: of conditions a state may not have been told, so the server is to tell all of them once more.
    """

    def __init__(self, settings: Events, plan: RecordPlan, fields: Mapping[str, Path]) -> None:
        self.src = settings.src
        self.settings = settings
        self.selected: tuple[Path, ...] = (*_OWN, *fields.values())
        self._names = tuple(fields)
        self._plan = plan
        self._good_us: int | None = None
        self._discarded = False
        self._refreshing = False
        self.unsure = settings.conditions

    def connected(self, t_rx: int) -> None:
        """A new subscription; events before it are not told again."""
        self._discarded = self._refreshing = False
        self.unsure = self.settings.conditions
        if self._good_us is None:
            self._good_us = t_rx

    def lost(self, t_rx: int, harvest: Harvest) -> None:
        """Notifications of the whole subscription are missing."""
        self._gap(t_rx, t_rx, harvest)
        self.unsure = self.settings.conditions

    def refreshed(self) -> None:
        """The server is asked for the state of all conditions."""
        self.unsure, self._refreshing = False, self.settings.conditions

    def unrefreshed(self) -> None:
        """Whether it was, nobody knows: the connection was lost."""
        self.unsure, self._refreshing = self.settings.conditions, False

    def notified(self, values: Sequence[object], fault: str | None, t_rx: int, harvest: Harvest) -> None:
        """Takes one event: the plain values of `selected`, in order. `fault`: why one of them has no plain form."""
        if fault is None and len(values) != len(self.selected):
            fault = "event: another number of fields than asked for"
        if fault is not None:
            harvest.fault(fault, {})
            self._gap(t_rx, t_rx, harvest)
            return
        event_type, source_us, server_us, *rest = values
        if event_type in (REFRESH_BEGINS, REFRESH_ENDS, REFRESH_REQUIRED):
            self._refreshing &= event_type != REFRESH_ENDS
            self.unsure |= event_type == REFRESH_REQUIRED and self.settings.conditions
            return
        chosen = {"source": source_us, "server": server_us, "none": None}[self.settings.time]
        t = chosen if isinstance(chosen, int) and chosen > 0 else None
        # an overflow has the time of the first event that was discarded: the last one came just before the next in the
        # queue (OPC 10000-4 section 5.13.1.5)
        overflow = event_type == OVERFLOW_EVENT_TYPE
        if overflow or self._discarded:
            self._gap(t or t_rx, t_rx, harvest)
        self._discarded = overflow
        if overflow and self._refreshing:
            harvest.fault("more conditions than the server queues for us: a larger queue_size", {})
        elif overflow:
            self.unsure = self.settings.conditions
        else:
            named = {name: value for name, value in zip(self._names, rest, strict=True) if value is not None}
            if harvest.records(self._plan, named, t, t_rx):
                self._gap(t or t_rx, t_rx, harvest)
        self._good_us = t or t_rx

    def _gap(self, now: int, t_rx: int, harvest: Harvest) -> None:
        if self._good_us is not None:
            harvest.gap(self.src, self._good_us, now, t_rx)


def event_filter(
    event_type: ua.NodeId,
    subtypes: Sequence[ua.NodeId],
    selected: Sequence[Sequence[ua.QualifiedName]],
    severity_min: int = 0,
) -> ua.EventFilter:
    """Selects the fields of events of the type or of one of its subtypes, of this severity and more.

    OfType covers subtypes by itself (OPC 10000-4 table 120), but not on every server: so each one is named.
    """
    clauses = [
        ua.SimpleAttributeOperand(
            TypeDefinitionId=event_type if len(path) > 1 or path[0].NamespaceIndex else BASE_EVENT_TYPE,
            BrowsePath=list(path),
            AttributeId=ua.AttributeIds.Value,
        )
        for path in selected
    ]
    elements: list[ua.ContentFilterElement] = []
    if severity_min > 1:
        both = [ua.ElementOperand(Index=1), ua.ElementOperand(Index=2)]
        elements.append(ua.ContentFilterElement(FilterOperator=ua.FilterOperator.And, FilterOperands=both))
        elements.append(_severe(severity_min))
    _any_of([event_type, *subtypes], elements)
    return ua.EventFilter(SelectClauses=clauses, WhereClause=ua.ContentFilter(Elements=elements))


def _severe(severity_min: int) -> ua.ContentFilterElement:
    severity = ua.SimpleAttributeOperand(
        TypeDefinitionId=BASE_EVENT_TYPE,
        BrowsePath=[ua.QualifiedName("Severity", 0)],
        AttributeId=ua.AttributeIds.Value,
    )
    bound = ua.LiteralOperand(Value=ua.Variant(severity_min, ua.VariantType.UInt16))
    return ua.ContentFilterElement(
        FilterOperator=ua.FilterOperator.GreaterThanOrEqual, FilterOperands=[severity, bound]
    )


def _any_of(types: Sequence[ua.NodeId], elements: list[ua.ContentFilterElement]) -> None:
    """Adds `OfType(a) or (OfType(b) or ...)`: an element's operands come after it, as the encoding demands."""
    for index, node in enumerate(types):
        of_type = ua.ContentFilterElement(
            FilterOperator=ua.FilterOperator.OfType,
            FilterOperands=[ua.LiteralOperand(Value=ua.Variant(node, ua.VariantType.NodeId))],
        )
        if index + 1 < len(types):
            here = len(elements)
            operands = [ua.ElementOperand(Index=here + 1), ua.ElementOperand(Index=here + 2)]
            elements.append(ua.ContentFilterElement(FilterOperator=ua.FilterOperator.Or, FilterOperands=operands))
        elements.append(of_type)
