"""The process in which racks are watched, a thread for each: messages in on its standard input, out on its output.

It is started by :mod:`edge_agents.eyes` and ends with the agent.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import BinaryIO

import cv2
import msgspec

from edge_agents import rack_messages as messages
from edge_agents.rack_eye import Eye, Inbox, StoppedError

_log = logging.getLogger(__name__)
_orders: msgspec.msgpack.Decoder[messages.Order] = msgspec.msgpack.Decoder(messages.Order)
_told: msgspec.msgpack.Decoder[messages.Told] = msgspec.msgpack.Decoder(messages.Told)


class Watchers:
    """The racks of this process. `out`: where all of them speak, one message at a time."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._speaking = threading.Lock()
        self._inboxes: dict[int, Inbox] = {}

    def hear(self, number: int, payload: bytes) -> None:
        """One message: the first of a number is its order, an empty one its end."""
        inbox = self._inboxes.get(number)
        if inbox is None:
            if payload:
                inbox = self._inboxes[number] = Inbox()
                watching = (number, _orders.decode(payload), inbox)
                threading.Thread(target=self._watch, args=watching, name=f"rack {number}", daemon=True).start()
        elif payload:
            inbox.put(_told.decode(payload))
        else:
            inbox.stop()
            del self._inboxes[number]

    def _watch(self, number: int, order: messages.Order, inbox: Inbox) -> None:
        try:
            Eye(order, lambda said: self._say(number, messages.packed(said)), inbox).watch()
        except StoppedError:
            return
        except Exception:  # noqa: BLE001 - whatever one rack's watching raises must not end the others
            _log.exception("the eye on %s ended", order.rack)
        if not inbox.stopped:
            self._say(number, b"")

    def _say(self, number: int, payload: bytes) -> None:
        with self._speaking:
            self._out.write(messages.framed(number, payload))
            self._out.flush()


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    cv2.setNumThreads(1)
    watchers = Watchers(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # a native library that prints must not break the protocol
    pipe = sys.stdin.buffer
    while len(head := pipe.read(messages.HEAD)) == messages.HEAD:
        length, number = messages.head(head)
        watchers.hear(number, pipe.read(length))
    os._exit(0)  # the agent is gone; threads may hang in a camera's driver


if __name__ == "__main__":
    main()
