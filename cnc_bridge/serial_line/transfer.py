"""Programmes over a line: the pure sender and receiver, joined to the port."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from cnc_bridge.port import DriverFaultError
from cnc_bridge.serial_line.line import Line
from cnc_bridge.serial_line.sender import Progress, Sender
from cnc_bridge.serial_line.settings import TapeSettings
from cnc_bridge.serial_line.tape import Receiver, to_send

REPORT_S = 0.25
LOOK_S = 0.25
LATE_S = 0.002
"""A wake-up later than meant is caught up to so much, and to half a chunk: the line does not idle between chunks."""
LAST_CODES_S = 0.3


def _ignore(_: Progress) -> None:
    return


async def send(
    line: Line,
    content: bytes,
    tape: TapeSettings,
    progress: Callable[[Progress], None] = _ignore,
    *,
    earlier: bytes = b"",
) -> Progress:
    """Send a programme; returns when its last byte has left. Cancelling stops at once, with nothing left in the port.

    `earlier`: what the machine said just before, for an operator who presses READ first: its DC1 is not sent twice.
    One chunk (`tape.chunk`, 16 bytes) at a time, one and a half at worst: the next goes when the port is empty and the
    wire has had the time that it needs, so that a USB adapter's own memory does not fill either. What the machine says
    is read before each of them. Raises DriverFaultError.
    """
    data = to_send(content, line.settings, tape)
    clock = time.monotonic
    sender, damaged = Sender(data, line.settings, tape, clock()), line.errors.damaged
    sender.hear(earlier, clock())
    free_at = stuck_since = reported_at = clock()
    try:
        while True:
            now = clock()
            sender.hear(line.read_now(), now)
            sender.check(now)
            if now - reported_at >= REPORT_S:
                progress(sender.progress)
                reported_at = now
            if line.queued():
                if now - stuck_since > tape.hold_timeout_s:
                    raise line.blocked(now - stuck_since)
                pause = max(line.settings.seconds_per_byte, 0.001)
            elif now < free_at:
                pause = free_at - now
            elif sender.done:
                last = msgspec.structs.replace(sender.progress, damaged=line.errors.damaged - damaged)
                progress(last)
                return last
            elif chunk := sender.take(now):
                await line.write(chunk, within=tape.hold_timeout_s)
                stuck_since = clock()
                wire_s = len(chunk) * line.settings.seconds_per_byte
                free_at = max(now - min(wire_s / 2, LATE_S), free_at) + wire_s
                pause = 0.0
            else:
                pause = LOOK_S
            sender.hear(await line.read(pause), clock())
    finally:
        line.forget_output()


async def receive(line: Line, tape: TapeSettings, progress: Callable[[int], None] | None = None) -> bytes:
    """Wait for the machine's punch; the programme, when it came whole. Raises DriverFaultError."""
    clock = time.monotonic
    receiver = Receiver(line.settings, tape, clock())
    damaged = line.errors.damaged
    while receiver.state != "done":
        data = await line.read(min(LOOK_S, tape.idle_timeout_s / 2))
        receiver.feed(data, clock())
        receiver.check(clock())
        if data and progress is not None:
            progress(receiver.size)
    until = clock() + LAST_CODES_S
    while not receiver.punch_off and clock() < until:  # trailer and DC4: not the beginning of something else
        receiver.feed(await line.read(until - clock()), clock())
    if line.errors.damaged > damaged:
        count = line.errors.damaged - damaged
        raise DriverFaultError(
            "damaged",
            f"{line.name}: {count} characters came damaged (parity or framing)",
            f"{count} caractères abîmés à la réception : rien n'est gardé ; vérifier la vitesse, la parité, "
            "le blindage du câble, puis recommencer.",
        )
    return receiver.content
