"""What the simulated controllers' command lines share."""

from __future__ import annotations

import argparse
import json
import sys

from cnc_bridge.testing.moving import MovingMachine


def parser(what: str) -> argparse.ArgumentParser:
    """`--port`, and the machine's rhythm."""
    found = argparse.ArgumentParser(description=what)
    found.add_argument("--port", type=int, required=True)
    found.add_argument("--cycle", type=float, default=20.0, help="seconds")
    found.add_argument("--between", type=float, default=3.0, help="seconds")
    found.add_argument("--alarm-every", type=int, default=7, help="cycles; 0 never")
    return found


def machine(given: argparse.Namespace) -> MovingMachine:
    """The machine that the command line describes."""
    return MovingMachine(cycle_s=given.cycle, between_s=given.between, alarm_every=given.alarm_every)


def listening(port: int) -> None:
    """Say, in one JSON line, that clients may come."""
    sys.stdout.write(json.dumps({"listening": port}) + "\n")
    sys.stdout.flush()
