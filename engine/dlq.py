"""`sortline dlq`: look at dead letters, send them again, or give them up.

    sortline dlq list WHERE [SELECTION]
    sortline dlq show WHERE NUMBER
    sortline dlq replay WHERE SELECTION [--rate N] [--yes]
    sortline dlq discard WHERE SELECTION [--yes]
    sortline dlq export WHERE [SELECTION] [--out FILE]
    sortline dlq audit WHERE

WHERE is a site file, or the file of the dead letters. SELECTION: numbers of letters, or --source, --class, --kind, or
--all. Without --yes `replay` and `discard` only say what they would do. What is to be sent again is sent by the running
engine, or by the next one that starts: an event keeps its id, a refused line goes through the decoder again.
"""

from __future__ import annotations

import argparse
import base64
import logging
import os
import pwd
import sqlite3
import sys
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec

from engine import sqlite_log
from engine.clock import now_us
from engine.config.faults import count
from engine.config.load import load_site
from engine.dead_letters import DeadLetters
from engine.error_classes import Class
from engine.errors import Refused
from engine.letter import EVENT, LINE, PAYLOAD, Letter
from engine.logs import escaped
from engine.recordings import new_file
from engine.sqlite_file import damage_refused

FILE = "dead.sqlite"
RATE_PER_S = 10.0
RAW_CHARS_SHOWN = 2_000

log = logging.getLogger("sortline.dead_letters")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    texts = {
        "list": "the letters, one a line",
        "show": "one letter, with its bytes",
        "replay": "send letters again, under the ids that they have",
        "discard": "give letters up for good; nothing brings them back",
        "export": "write letters as JSON lines, with all their bytes",
        "audit": "who sent or discarded which letters, and when",
    }
    for name, text in texts.items():
        aliases = ["ls"] if name == "list" else []
        action = actions.add_parser(name, aliases=aliases, help=text, description=text[0].upper() + text[1:] + ".")
        action.add_argument("where", metavar="WHERE", type=Path, help=f"SITE.toml, or the file {FILE}")
        if name == "show":
            action.add_argument("numbers", metavar="NUMBER", type=int, nargs=1, help="as `list` shows it")
        elif name != "audit":
            _add_selection(action)
        if name == "replay":
            action.add_argument(
                "--rate", type=_rate, default=RATE_PER_S, metavar="N", help=f"letters a second ({RATE_PER_S:g})"
            )
        if name in ("replay", "discard"):
            action.add_argument("--yes", action="store_true", help="do it; without it, only say what would be done")
        if name == "export":
            action.add_argument(
                *("--out", "--output"),
                dest="output",
                type=Path,
                metavar="FILE",
                help="a new file, for its owner alone; default: stdout",
            )
        if name in ("list", "audit"):
            action.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (100)")
        if name in ("list", "show"):
            action.add_argument("--json", action="store_true", help="one JSON object a line")


def _add_selection(action: argparse.ArgumentParser) -> None:
    action.add_argument("numbers", metavar="NUMBER", type=int, nargs="*", help="of letters, as `list` shows them")
    action.add_argument("--source", default="", metavar="NAME", help="those of this sink or source")
    classes = [kind.value for kind in Class] + ["held"]
    action.add_argument(
        "--class",
        dest="class_",
        default="",
        choices=classes,
        metavar="CLASS",
        help=f"those of this class: {', '.join(classes)}",
    )
    action.add_argument(
        "--kind",
        default="",
        choices=(EVENT, PAYLOAD, LINE),
        help="business events, refused payloads, or refused records",
    )
    action.add_argument("--all", action="store_true", help="all letters")


def run(args: argparse.Namespace) -> int:
    """0. A place without dead letters, and a selection of none, are raised as Refused."""
    letters = _open(_place(args.where))
    try:
        with damage_refused(letters.path, "The engine's next start puts it in order, with what of it can be read"):
            {
                "list": _list,
                "ls": _list,
                "show": _show,
                "replay": _replay,
                "discard": _discard,
                "export": _export,
                "audit": _audit,
            }[args.action](letters, args)
    finally:
        letters.close()
    return 0


def _place(where: Path) -> Path:
    return Path(load_site(where).engine.data_dir) / FILE if where.suffix == ".toml" else where


def _open(path: Path) -> DeadLetters:
    """Refused if there are none yet, or the file cannot be opened."""
    if not path.is_file():
        raise Refused(f"{path}: there are no dead letters; the engine makes the file at its first start")
    try:
        for said in sqlite_log.put_in_order(path):
            log.warning("%s", said)
        return DeadLetters(path, now_us)
    except sqlite3.OperationalError as error:
        raise Refused(f"{path}: {error}") from error


def _selected(letters: DeadLetters, args: argparse.Namespace) -> Iterator[Letter]:
    """However many there are, only a few are in memory at a time."""
    missing = set(args.numbers)
    for letter in letters.each(args.numbers, source=args.source, class_=args.class_, kind=args.kind):
        missing.discard(letter.number)
        yield letter
    if missing:
        raise Refused(f"{letters.path}: there is no such letter: {', '.join(map(str, sorted(missing)))}")


def _chosen(letters: DeadLetters, args: argparse.Namespace) -> dict[int, str]:
    """For what changes something, by number what is said of each: the selection has to be given, and not be empty."""
    if not (args.numbers or args.source or args.class_ or args.kind or args.all):
        raise Refused("which letters? Give their numbers, or --source, --class, --kind, or --all")
    chosen, payloads = {}, []
    for letter in _selected(letters, args):
        text = f"{letter.number:>7}  {letter.kind:<7}  {letter.source:<16}  {letter.id or letter.reason}"
        chosen[letter.number] = escaped(text)
        if letter.kind == PAYLOAD:
            payloads.append(letter.number)
    if not chosen:
        raise Refused(f"{letters.path}: no letter fits that")
    if payloads and args.action == "replay":
        raise Refused(
            f"{count(len(payloads), 'letter')} of kind payload, first {payloads[0]}: only its source can send it once "
            "more, by the protocol that it came in. `sortline dlq export` has the bytes; choose others with --kind"
        )
    return chosen


def _list(letters: DeadLetters, args: argparse.Namespace) -> None:
    found = _selected(letters, args)
    for index, letter in enumerate(found if args.limit < 0 else islice(found, args.limit)):
        if args.json:
            print(_json(letter, raw=False).decode())
            continue
        if not index:
            print(f"{'number':>7}  {'last':<20}  {'kind':<7}  {'source':<16}  {'class':<10}  {'times':>5}  what, why")
        what = f"{letter.type} {letter.id}" if letter.kind == EVENT else count(len(letter.raw), "byte")
        what += f" {letter.queue}" if letter.queue else ""
        state = "" if letter.state == "dead" else f"[{letter.state}] "
        line = (
            f"{letter.number:>7}  {_instant(letter.last_us)}  {letter.kind:<7}  {letter.source:<16}  "
            f"{letter.class_:<10}  {letter.attempts:>5}  {state}{what}: {letter.code}: {letter.reason}"
        )
        print(escaped(line))


def _show(letters: DeadLetters, args: argparse.Namespace) -> None:
    found = letters.find(args.numbers)
    if not found:
        raise Refused(f"{letters.path}: there is no letter {args.numbers[0]}")
    if args.json:
        print(_json(found[0], raw=True).decode())
        return
    for name, value in _fields(found[0]).items():
        print(escaped(f"{name:<13} {value}"))
    text = found[0].raw.decode("utf-8", "backslashreplace")
    more = len(text) - RAW_CHARS_SHOWN
    print(
        escaped(text[:RAW_CHARS_SHOWN]) + (f"\n... and {more} characters more: --json, or export" if more > 0 else "")
    )


def _replay(letters: DeadLetters, args: argparse.Namespace) -> None:
    chosen = _chosen(letters, args)
    _say(chosen.values(), "would be sent again" if not args.yes else "to be sent again")
    if args.yes:
        done = letters.want(list(chosen), args.rate, _who())
        print(
            f"audit: {_who()} asked for {count(done, 'letter')} to be sent again, {args.rate:g} a second",
            file=sys.stderr,
        )


def _discard(letters: DeadLetters, args: argparse.Namespace) -> None:
    chosen = _chosen(letters, args)
    _say(chosen.values(), "would be discarded" if not args.yes else "to be discarded")
    if args.yes:
        done = letters.discard(list(chosen), _who())
        print(f"audit: {_who()} discarded {count(done, 'letter')}", file=sys.stderr)
        if done < len(chosen):
            print(f"{count(len(chosen) - done, 'letter')} on the way to the sink: not discarded", file=sys.stderr)


def _say(chosen: Collection[str], what: str) -> None:
    for text in chosen:
        print(text)
    print(f"{count(len(chosen), 'letter')} {what}" + ("; do it with --yes" if what.startswith("would") else ""))


def _export(letters: DeadLetters, args: argparse.Namespace) -> None:
    lines = (_json(letter, raw=True) + b"\n" for letter in _selected(letters, args))
    if args.output is None:
        _write(sys.stdout.buffer, lines)
        return
    try:
        # raw payloads are nobody else's business
        with new_file(str(args.output), 0o600) as place, Path(place).open("wb") as output:
            _write(output, lines)
    except OSError as error:
        raise Refused(f"{args.output}: {error.strerror}") from None


def _write(output: BinaryIO, lines: Iterable[bytes]) -> None:
    for line in lines:
        output.write(line)
    output.flush()


def _audit(letters: DeadLetters, args: argparse.Namespace) -> None:
    for at_us, who, action, number, id_ in reversed(letters.audit(args.limit)):
        print(escaped(f"{_instant(at_us)}  {who:<12}  {action:<9}  {number:>7}  {id_}"))


def _fields(letter: Letter) -> dict[str, object]:
    return dict(_pairs(letter))


def _pairs(letter: Letter) -> Iterator[tuple[str, object]]:
    """What a person wants to know: times as text, and nothing that says nothing."""
    for name, value in letter._asdict().items():
        if name in ("first_us", "last_us"):
            yield name.removesuffix("_us"), _instant(value)
        elif name == "class_":
            yield "class", value
        elif name != "raw" and value not in ("", 0, 0.0):
            yield name, value


def _json(letter: Letter, *, raw: bool) -> bytes:
    fields = _fields(letter)
    if raw:
        fields["raw_base64"] = base64.b64encode(letter.raw).decode()
    return msgspec.json.encode(fields)


def _instant(us: int) -> str:
    try:
        return datetime.fromtimestamp(us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError):  # the disk has changed it
        return str(us)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.001 <= rate <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is not a rate from 0.001 to 100000 letters a second")
    return rate


def _who() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
