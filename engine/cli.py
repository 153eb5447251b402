"""The command `sortline`. Each command is a module with `add_arguments(parser)` and `run(args) -> exit code`.

Exit codes: 0 done, 1 refused (config or input, with the reason on stderr), 2 wrong usage, 3 stopped by a fault.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from engine import __version__
from engine.config.faults import nearest
from engine.errors import Refused, SortlineError
from engine.places import for_the_operator

DONE, REFUSED, USAGE, FAULT = 0, 1, 2, 3
INTERRUPTED = 130  # as a shell counts a command that was ended by Ctrl-C

COMMANDS: dict[str, tuple[str, str]] = {
    # name -> (module, what it does); a module is imported only when its command is called
    "run": ("engine.run", "the engine, live, until Ctrl-C or SIGTERM"),
    "discover": ("engine.discover", "look for what is there (mqtt, modbus, opcua), and draft a source's table"),
    "check": ("engine.check", "name every fault of a site file at once, with its path"),
    "tap": ("engine.tap", "show what comes from one source beside the records that it becomes, live"),
    "replay": ("engine.replay", "put the records of a file through the same core, without any server"),
    "record": ("engine.record", "write the canonical records of a site to a file as they arrive"),
    "simulate": ("simulators.cli", "be a warehouse of devices, over the wire or to a file, with its ground truth"),
    "score": ("simulators.score", "hold business events against the ground truth: missing, extra, wrong"),
    "queue": ("engine.queues", "look at queues: list, peek, tail, acknowledge"),
    "dlq": ("engine.dlq", "dead letters: list, show, send again, discard, export"),
    "explain": ("engine.explain", "show the records behind a business event"),
    "doctor": ("engine.doctor", "say what is wrong on this box, and what to do about it"),
    "bench": ("bench.cli", "measure this machine, with peers in the same run"),
    "journal": (
        "engine.journals",
        "look at what was accepted: its segments, its records as a recording, a sink filled again",
    ),
    "fsck": ("engine.fsck", "say what of a data folder is damaged; put it aside with --repair"),
    "schema": ("engine.schema", "print the JSON Schema of records, context, business events and the site file"),
}
UNTIL_TOLD = ("run", "record")
"""Commands that work until they are told to stop: to be told so early is no fault either."""

LOOKING = ("check", "discover", "tap")
"""Commands that may be connected to somebody: SIGTERM interrupts them as SIGINT does, so that they take their leave."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; `argv` without the program's name. Returns the exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except Refused as error:
        print(f"sortline: {error}", file=sys.stderr)
        return REFUSED
    except SortlineError as error:
        print(f"sortline: stopped: {type(error).__name__}: {error}", file=sys.stderr)
        return FAULT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has gone; Python would complain once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAULT
    except OSError as error:
        said = for_the_operator(error)
        if not said:
            traceback.print_exc()
            return FAULT
        print(f"sortline: {said}", file=sys.stderr)
        return REFUSED
    except Exception:  # the last resort: keep the evidence, give the code that says whose fault it is
        traceback.print_exc()
        return FAULT


class _Parser(argparse.ArgumentParser):
    """Also says what was probably meant."""

    def error(self, message: str) -> NoReturn:
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)$", message)
        super().error(message + (_meant(choice[1], re.findall(r"[\w.-]+", choice[2])) if choice else ""))

    def options(self) -> Iterator[str]:
        """Of the command, and of its actions."""
        for action in self._actions:
            yield from action.option_strings
            if isinstance(action, argparse._SubParsersAction):
                for parser in action.choices.values():
                    yield from parser.options()


def _meant(word: str, known: Iterable[str]) -> str:
    near = nearest(word, known)
    return f"; did you mean {near}?" if near else ""


def _dispatch(arguments: list[str]) -> int:
    parser = _Parser(
        prog="sortline",
        description="Machine telemetry of a warehouse in, business events for the ERP out.",
        epilog="Exit codes: 0 done, 1 refused (stderr says why), 2 wrong usage, 3 stopped by a fault. "
        "COMMAND --help says more; README.md has a tour of ten minutes.",
    )
    parser.add_argument("--version", action="version", version=f"sortline {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    # Only the command that was asked for is imported: one that cannot be loaded does not break the others.
    asked = next((word for word in arguments if not word.startswith("-")), None)
    module, chosen = None, parser
    with _stoppable(asked):
        for name, (module_name, purpose) in COMMANDS.items():
            command = commands.add_parser(name, help=purpose, description=purpose[0].upper() + purpose[1:] + ".")
            if name == asked:
                module = importlib.import_module(module_name)
                module.add_arguments(command)
                chosen = command
        args, rest = parser.parse_known_args(arguments)
        if rest:
            chosen.error(f"unrecognized arguments: {' '.join(rest)}{_meant(rest[0], chosen.options())}")
        if module is None:  # parse_known_args has left for every other reason
            parser.error("give a command")
        if asked in UNTIL_TOLD and signal.sigtimedwait([signal.SIGTERM], 0):
            return DONE
        code: int = module.run(args)
        return code


@contextmanager
def _stoppable(command: str | None) -> Iterator[None]:
    """SIGTERM is an end like any other also before the command listens to it itself: loading takes half a second.

    Of a command that would go on for ever it waits until then (see told_to_stop): an error that a signal's handler
    raises is lost in many a place where modules load, such as the callback of a weak reference.
    """
    if command in UNTIL_TOLD:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    elif command in LOOKING:
        with _as_by_ctrl_c():
            yield
    else:
        yield


@contextmanager
def _as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM ends what SIGINT would: whoever runs an event loop has the one task cancelled that leads, and can take
    leave. What a shell starts with & ignores SIGINT, and goes on doing so: it is blocked, and never comes."""
    before = signal.getsignal(signal.SIGINT), signal.signal(signal.SIGTERM, _interrupt)
    if before[0] is signal.SIG_IGN:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before[1])
        if before[0] is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def _interrupt(_: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(signal.SIGINT, frame)


if __name__ == "__main__":
    sys.exit(main())
