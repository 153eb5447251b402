"""`sortline discover PROTOCOL ...`: what is there, for a person on stderr; a draft of the source's table on stdout."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
from pathlib import Path
from typing import Any

from engine.config.load import read_toml
from engine.errors import Refused
from protocols.registry import DISCOVERIES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    protocols = parser.add_subparsers(dest="protocol", metavar="PROTOCOL", required=True)
    for name, module_name in DISCOVERIES.items():
        module = importlib.import_module(module_name)
        purpose = str(module.PURPOSE)
        protocol = protocols.add_parser(name, help=purpose, description=purpose[0].upper() + purpose[1:] + ".")
        module.add_arguments(protocol)
        protocol.add_argument("--out", type=Path, metavar="FILE", help="write the draft there instead of to stdout")


def run(args: argparse.Namespace) -> int:
    """0 also where little was found. What cannot be reached is raised as Refused."""
    if args.site_file is not None:
        if args.where is not None:
            raise Refused(f"either {args.where} or --from {args.site_file}")
        args.table = source_table(args.site_file, args.protocol, args.source)
    module = importlib.import_module(DISCOVERIES[args.protocol])
    found = asyncio.run(module.discover(args))
    for line in found.report:
        print(line, file=sys.stderr)
    if args.out is None:
        print(found.draft, end="")
        return 0
    try:
        with args.out.open("x") as out:  # never over a file that is somebody's work
            out.write(found.draft)
    except OSError as error:
        raise Refused(f"{args.out}: {error.strerror or type(error).__name__}") from None
    print(f"draft of the source's table: {args.out}", file=sys.stderr)
    return 0


def source_table(path: Path, protocol: str, name: str | None) -> dict[str, Any]:
    """The source's table in a site file, which need not be a good one yet. Raises SiteRefused, Refused."""
    sources = read_toml(path).get("sources")
    tables = sources if isinstance(sources, dict) else {}
    found = {
        each: table
        for each, table in tables.items()
        if isinstance(table, dict) and table.get("protocol") == protocol and name in (None, each)
    }
    if not found:
        raise Refused(f"{path} has no source{f' {name}' if name else ''} of protocol {protocol}")
    if len(found) > 1:
        raise Refused(f"{path} has several sources of protocol {protocol}: --source, one of {', '.join(found)}")
    return dict(*found.values())
