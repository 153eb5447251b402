"""Companion specifications and conditions: scan results of AutoID, states of PackML, alarms with their filters."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from asyncua import ua

from tests.opcua import LABELS, Line, line, running, settings
from tests.peers import free_port
from tests.told import Told, told
from tests.vectors import vectors

ROOT = Path(__file__).parents[2]
AUTOID, PACKML = "http://opcfoundation.org/UA/AutoID/", "http://opcfoundation.org/UA/PackML/"
SCANS = {
    "src": "dc1/sorter/SCN-01",
    "event_type": "autoid:OpticalScanEventType",
    "fields": {"device": "autoid:DeviceName", "result": "autoid:ScanResult"},
    "each": "result",
    "when": {"CodeType": "CODE128"},
    "record": {"kind": {"const": "scan.read"}, "lu": {"path": "ScanData.Value", "required": True}, "point": "$.device"},
}
STATES = {
    "src": "dc1/pack/PK-01",
    "nodes": {
        "state": "/floor:PK01/packml:BaseStateMachine/packml:MachineState/packml:ExecuteState/CurrentState",
        "mode": "/floor:PK01/packml:Status/packml:UnitModeCurrent",
    },
    "trigger": "state",
    "record": {"kind": {"const": "machine.state"}, "state": "state", "code": "mode"},
}


@contextlib.asynccontextmanager
async def nodeset_server() -> AsyncIterator[Told]:
    folder, port = vectors("nodesets"), free_port()
    argv = (sys.executable, "-m", "tests.nodeset_server", str(port), str(folder))
    async with told(port, *argv, environment={"PYTHONPATH": str(ROOT)}) as server:
        yield server


def test_scan_results_of_autoid_and_states_of_packml_become_records() -> None:
    async def story() -> None:
        async with nodeset_server() as server:
            configured = settings(
                server.url,
                structures=True,
                namespaces={"autoid": AUTOID, "packml": PACKML, "floor": "urn:test:floor"},
                events={"scans": SCANS},
                variables={"states": STATES},
            )
            async with running(configured) as kept:
                await kept.until(lambda: "up" in dict(kept.states))
                await server.tell(scan=["T-1", "T-2"])
                await kept.until(lambda: len(kept.of("scan.read")) == 2)
                assert [(r["lu"], r["point"], r.get("sub", 0)) for r in kept.of("scan.read")] == [
                    ("T-1", "SCN01", 0),
                    ("T-2", "SCN01", 1),
                ]
                await server.tell(state="Execute")
                await kept.until(lambda: bool(kept.of("machine.state")))
                assert kept.of("machine.state")[0]["state"] == "Execute"
                assert kept.faults == []

    asyncio.run(story())


def test_the_server_filters_events_by_their_severity() -> None:
    async def story() -> None:
        async with line() as packing:
            labels = {"all": LABELS, "severe": LABELS | {"src": "dc1/pack/PK-02", "severity_min": 500}}
            async with running(settings(packing.url, events=labels)) as kept:
                await kept.up()
                for carton, severity in (("T-1", 100), ("T-2", 500), ("T-3", 900)):
                    await packing.tell(Carton=carton, Result="OK", Severity=severity)
                await kept.until(lambda: len(kept.of("label.verified")) == 5)
                severe = [r["lu"] for r in kept.of("label.verified") if r["src"] == "dc1/pack/PK-02"]
                assert severe == ["T-2", "T-3"]

    asyncio.run(story())


ALARMS: dict[str, Any] = {
    "src": "dc1/sorter/SRT-01",
    "event_type": "AlarmConditionType",
    "fields": {"name": "ConditionName", "active": "ActiveState/Id", "kept": "Retain"},
    "conditions": True,
    "record": {
        "kind": {"const": "jam"},
        "code": "name",
        "state": {"path": "active", "table": {"true": "set", "false": "clear"}},
    },
}


async def jammed(packing: Line) -> Any:
    """The alarm JAM-7, which has just been told and stands."""
    alarm = await packing.server.get_event_generator(ua.ObjectIds.AlarmConditionType)
    alarm.event.ConditionName = "JAM-7"
    alarm.event.Retain = True
    alarm.event.NodeId = ua.NodeId("JAM-7", packing.index)
    setattr(alarm.event, "ActiveState/Id", True)
    await alarm.trigger()
    return alarm


def test_alarms_that_stand_are_told_after_connecting_and_those_that_come_are_told_as_they_come() -> None:
    async def story() -> None:
        async with line() as packing:
            alarm = await jammed(packing)
            async with running(settings(packing.url, events={"alarms": ALARMS})) as kept:
                await kept.until(lambda: bool(kept.of("jam")))
                assert [(r["code"], r["state"]) for r in kept.of("jam")] == [("JAM-7", "set")]
                setattr(alarm.event, "ActiveState/Id", False)
                alarm.event.Retain = False
                await alarm.trigger()
                await kept.until(lambda: len(kept.of("jam")) == 2)
                assert kept.of("jam")[1]["state"] == "clear"
                assert kept.of("source.gap") == []
                assert kept.faults == []

    asyncio.run(story())


def test_alarms_are_told_once_more_when_the_server_says_that_they_may_not_be_known() -> None:
    async def story() -> None:
        async with line() as packing:
            required = await packing.server.get_event_generator(ua.ObjectIds.RefreshRequiredEventType)
            # of all types, for asyncua lets nothing else through the filter, as it should
            alarms = ALARMS | {"event_type": "i=2041", "when": {"name": "JAM-7"}}
            async with running(settings(packing.url, events={"alarms": alarms})) as kept:
                await kept.up()
                await jammed(packing)
                await kept.until(lambda: len(kept.of("jam")) == 1)
                await required.trigger()
                await kept.until(lambda: len(kept.of("jam")) == 2)

    asyncio.run(story())
