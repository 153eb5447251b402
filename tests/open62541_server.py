"""A packing line on open62541 (by its Python binding o6): an OPC UA server that shares no code with ours.

usage: python open62541_server.py PORT [CERTIFICATE KEY]. Commands on stdin, one JSON object a line:
{"write": {"Kind": 1, "Lu": "T-1", "Counter": 1}} writes in that order; each is answered with one line: done.
With a certificate only encrypted connections are taken, of any client.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from o6 import AccessControl, Int16, Server, UInt16  # type: ignore[import-not-found]

TYPES = {"Counter": UInt16, "Kind": Int16, "Lu": str}
MORE = 1_000


def main(port: int, certificate: str | None = None, key: str | None = None) -> None:
    security: dict[str, Any] = {}
    if certificate is not None:
        security = {"certificate": certificate, "privateKey": key, "secureOnly": True, "acceptAllCertificates": True}
        security["accessControl"] = AccessControl(anonymous=True)
    server = Server(port=port, **security)
    nodes = {
        name: server.addVariable(name, server.objectsNode, kind(), nodeId=f"ns=1;s=PK01.{name}")
        for name, kind in TYPES.items()
    }
    more = [
        server.addVariable(f"M{number}", server.objectsNode, UInt16(0), nodeId=f"ns=1;s=M.{number}")
        for number in range(MORE)
    ]
    server.start()
    print("ready", flush=True)
    for line in sys.stdin:
        for command, argument in json.loads(line).items():
            if command == "write":
                for name, value in argument.items():
                    nodes[name](TYPES[name](value))
            elif command == "all":
                for node in more:
                    node(UInt16(argument))
        print("done", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
