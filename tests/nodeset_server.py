"""A code reader and a packing machine as their companion specifications describe them, in a process of their own:
`python -m tests.nodeset_server PORT FOLDER`, FOLDER holding the information models (DI, AutoID, PackML).

The reader `SCN01` tells OpticalScanEvents with OpticalScanResults (AutoID 1.01 sections 9.3.10, 7.3); the machine
`PK01` is a PackMLBaseObject with its state machine. Commands on stdin, one JSON object a line, each answered with
`done`: {"scan": ["T-1", "T-2"]}, {"state": "Execute"}.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asyncua import Server, ua

MODELS = ("Di", "AutoID", "PackML")
AUTOID, PACKML = "http://opcfoundation.org/UA/AutoID/", "http://opcfoundation.org/UA/PackML/"
OPTICAL_SCAN_EVENT, PACKML_BASE_OBJECT = 1009, 6
STATE = ("BaseStateMachine", "MachineState", "ExecuteState", "CurrentState")


def inherited(model: str) -> str:
    """OpticalScanResult with the fields of ScanResult in front: a definition has all fields, those that it inherits
    first (OPC 10000-3 section 8.49), the file only its own, and asyncua takes over what the file says."""
    fields = re.search(r'<Definition Name="1:ScanResult">(.*?)</Definition>', model, re.DOTALL)
    if fields is None:
        return model
    opening = '<Definition Name="1:OpticalScanResult">'
    return model.replace(opening, opening + fields.group(1))


class Floor:
    def __init__(self) -> None:
        self.server = Server()
        self.autoid = self.packml = 0
        self.nodes: dict[str, Any] = {}

    async def start(self, port: int, folder: Path) -> None:
        gc.disable()  # it would look through thousands of nodes again and again
        await self.server.init()
        self.server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        for model in MODELS:
            await self.server.import_xml(xmlstring=inherited((folder / f"Opc.Ua.{model}.NodeSet2.xml").read_text()))
        self.autoid = await self.server.get_namespace_index(AUTOID)
        self.packml = await self.server.get_namespace_index(PACKML)
        await self.server.load_data_type_definitions()
        own = await self.server.register_namespace("urn:test:floor")
        objects = self.server.nodes.objects
        self.nodes["reader"] = await objects.add_object(ua.NodeId("SCN01", own), f"{own}:SCN01")
        self.nodes["machine"] = await objects.add_object(
            ua.NodeId("PK01", own), f"{own}:PK01", objecttype=ua.NodeId(PACKML_BASE_OBJECT, self.packml)
        )
        state = self.nodes["machine"]
        for name in STATE:
            space = 0 if name == "CurrentState" else self.packml
            state = await state.get_child(f"{space}:{name}")
        self.nodes["state"] = state
        await self.server.start()

    async def scan(self, codes: list[str]) -> None:
        generator = await self.server.get_event_generator(
            ua.NodeId(OPTICAL_SCAN_EVENT, self.autoid), self.server.nodes.server
        )
        results = []
        for code in codes:
            result: Any = ua.OpticalScanResult()
            result.CodeType = "CODE128"
            result.ScanData = ua.ScanData()
            result.ScanData.String = code
            result.Timestamp = datetime.now(UTC)
            results.append(result)
        generator.event.add_property("ScanResult", results, ua.VariantType.ExtensionObject)
        generator.event.add_property("DeviceName", "SCN01", ua.VariantType.String)
        await generator.trigger()

    async def state(self, name: str) -> None:
        await self.nodes["state"].write_value(ua.LocalizedText(name))


async def main(port: int, folder: Path) -> None:
    logging.disable(logging.WARNING)
    floor = Floor()
    await floor.start(port, folder)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        for command, argument in json.loads(line).items():
            await getattr(floor, command)(argument)
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
