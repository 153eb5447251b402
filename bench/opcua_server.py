"""The server of `opcua.live`, in a process of its own: `python -m bench.opcua_server PORT ITEMS`.

Variables `ns=2;s=I.0` and on, a UInt32 each. A number on stdin is written to all of them; answered with `done`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from datetime import UTC, datetime

from asyncua import Server, ua


async def main(port: int, items: int) -> None:
    logging.disable(logging.CRITICAL)
    server = Server()
    gc.disable()  # it would look through thousands of nodes again and again
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    space = await server.register_namespace("urn:bench")
    folder = await server.nodes.objects.add_folder(space, "Items")
    nodes = []
    for number in range(items):
        node = ua.NodeId(f"I.{number}", space)
        made = await folder.add_variable(node, f"{space}:I{number}", 0, ua.VariantType.UInt32)
        nodes.append(made.nodeid)
    await server.start()
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        now = datetime.now(UTC)
        value = ua.DataValue(ua.Variant(int(line), ua.VariantType.UInt32), SourceTimestamp=now, ServerTimestamp=now)
        for node in nodes:
            await server.write_attribute_value(node, value)
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
