"""`sortline check SITE.toml`: every fault of the config at once, with its path; exit 1 if there is any.

With `--probe` every source is connected to as well: see `engine.probe`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.arguments import number_of_seconds
from engine.config.faults import count
from engine.config.load import load_site
from engine.config.relations import doubts
from engine.probe import probe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("site", metavar="SITE.toml", type=Path, help="the site file")
    parser.add_argument("--probe", action="store_true", help="connect to every source and say what works")
    parser.add_argument(
        "--seconds", type=number_of_seconds, default=5.0, metavar="N", help="with --probe: listen for so long (5)"
    )


def run(args: argparse.Namespace) -> int:
    """0 with a line that says what is in it, and what to look at again; faults are raised as `SiteRefused`. With
    --probe: 1 if a source fails."""
    site = load_site(args.site)
    connected = [source for source in site.sources if source.protocol is not None]
    parts = [count(len(connected), "source"), count(len(site.sinks), "sink")]
    routes = count(len(site.routes), "route") if site.routes else "the default routes"
    print(f"{args.site}: good: site {site.site}, {', '.join([*parts, routes])}")
    for doubt in doubts(site):
        print(f"  warning: {doubt}")
    return probe(site, args.seconds) if args.probe else 0
