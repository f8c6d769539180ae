"""A rack's agent as the centre knows it: it obeys commands, brings pictures, and says what the test wants said."""

from __future__ import annotations

import hashlib
import math
import random
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import cv2
import httpx
import msgspec
import numpy as np
import numpy.typing as npt
from paho.mqtt import client as mqtt

from contracts import topics
from contracts.control import PART_COMMANDS, SetRackMode, SetSlotCount, SettleMove, ShowRack, TeachRack
from contracts.facts import AgentAnswered, RackModeChanged, RackRead, SlotSeen, StockAsked, StockObserved
from contracts.racks import RackDescription, SlotDescription, dump, parse
from tests.e2e.harness import SITE, Centre, Terminal
from tests.e2e.seed import INSERT, crop

SIZE: Final = (1920, 1080)
TRAY: Final = ((330, 110), (1560, 90), (1760, 990), (150, 1000))
"""Corners of the tray in the picture, px: top left, top right, bottom right, bottom left."""
ITEM_PX: Final = 50
ROWS, COLUMNS = 5, 8


def tray(rows: int = 5, columns: int = 8, seed: int = 3) -> bytes:
    """A still picture, JPEG: a tray in perspective, some inserts in each compartment."""
    rng = random.Random(seed)
    flat = np.full((900, 1440, 3), (48, 50, 52), np.uint8)
    high, wide = 900 / rows, 1440 / columns
    for row in range(rows):
        for column in range(columns):
            corner, far = (
                (int(column * wide + 6), int(row * high + 6)),
                (int((column + 1) * wide - 6), int((row + 1) * high - 6)),
            )
            cv2.rectangle(flat, corner, far, (96, 100, 104), -1)
            for index in range(rng.randint(1, 4)):
                x = corner[0] + wide * (0.3 + 0.4 * (index % 2))
                y = corner[1] + high * (0.3 + 0.4 * (index // 2))
                turn = rng.uniform(0, 3)
                points = [
                    (x + 26 * math.cos(turn + k * math.pi / 2), y + 26 * math.sin(turn + k * math.pi / 2))
                    for k in range(4)
                ]
                cv2.fillPoly(flat, [np.array(points, np.int32)], (60, 165, 205))
    source = np.array([(0, 0), (1440, 0), (1440, 900), (0, 900)], np.float32)
    turned = cv2.getPerspectiveTransform(source, np.array(TRAY, np.float32))
    picture: npt.NDArray[np.uint8] = np.full((SIZE[1], SIZE[0], 3), (70, 72, 74), np.uint8)
    cv2.warpPerspective(flat, turned, SIZE, dst=picture, borderMode=cv2.BORDER_TRANSPARENT)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


class FakeRackAgent:
    """Stands where `edge_agents` stands: commands over MQTT, facts and pictures over HTTP."""

    def __init__(self, centre: Centre, broker_port: int, rack: str = "rack-a", agent: str = "rack-1") -> None:
        self.rack = rack
        self.centre = centre
        self.picture = tray()
        self.taught: RackDescription | None = None
        self.counts: dict[str, int] = {}
        self.heard: list[Any] = []
        """Every command, in order."""
        self._terminal = Terminal(centre, agent)
        self._lock = threading.Lock()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.on_message = self._obey
        self._client.connect("127.0.0.1", broker_port)
        self._client.subscribe(topics.command(SITE, agent, "+"), qos=1)
        self._client.loop_start()
        self.say(RackModeChanged(rack=rack, mode="counting"))

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def say(self, *bodies: msgspec.Struct) -> None:
        with self._lock:
            self._terminal.send(*bodies)

    def describe(self, items: Mapping[str, str], rows: int = ROWS, columns: int = COLUMNS) -> None:
        """Teach the tray at the centre, without the page: item by place, the others bare."""
        unit = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float32)
        turned = cv2.getPerspectiveTransform(unit, np.array(TRAY, np.float32))
        slots = []
        for row in range(rows):
            for column in range(columns):
                edge = 0.06
                cell = [
                    (column + edge, row + edge), (column + 1 - edge, row + edge),
                    (column + 1 - edge, row + 1 - edge), (column + edge, row + 1 - edge),
                ]  # fmt: skip
                at = cv2.perspectiveTransform(np.array([cell], np.float32), turned)[0]
                name = f"{chr(65 + row)}{column + 1}"
                polygon = [(round(float(x), 1), round(float(y), 1)) for x, y in at]
                slots.append(SlotDescription(id=name, polygon=polygon, item=items.get(name, ""), px_per_item=50.0))
        content = dump(RackDescription(slots=slots, picture=SIZE))
        address = f"{self.centre.url}/api/racks/{self.rack}/description?by=page"
        httpx.put(address, content=content, timeout=20).raise_for_status()

    def sees(
        self, slot: str, before: int, after: int, *, item: str = INSERT, review: bool = False, confidence: float = 0.97
    ) -> None:
        """A hand has left: what it believes, then the pictures."""
        name = uuid.uuid4().hex
        self.say(
            StockObserved(
                source="camera", item=item, place=f"{self.rack}/{slot}", qty=(after - before) * 1000,
                confidence=confidence, mode="review" if review else "auto", count_before=before, count_after=after,
                crops=name, model="judge-1", why="fewer parts than before",
            )
        )  # fmt: skip
        self.bring(name, crop(before), crop(after))

    def asks(self, slot: str, reason: Any = "stacked", *, item: str = INSERT, before: int = 4) -> None:
        name = uuid.uuid4().hex
        self.say(
            StockAsked(
                place=f"{self.rack}/{slot}", item=item, reason=reason, count_before=before, crops=name, model="judge-1"
            )
        )
        self.bring(name, crop(before), crop(before, seed=5))

    def reads(self, why: Any = "asked", **counts: int) -> None:
        """Lie there, absolutely: ``A1=4``. The item is the one of the place."""
        self.say(
            RackRead(
                rack=self.rack,
                why=why,
                slots=[SlotSeen(place=f"{self.rack}/{slot}", count=count) for slot, count in counts.items()],
            )
        )

    def bring(self, name: str, before: bytes, after: bytes) -> None:
        body = msgspec.msgpack.encode({"before": before, "after": after, "observed": datetime.now(UTC).isoformat()})
        httpx.put(f"{self.centre.url}/api/racks/crops/{name}", content=body, timeout=20).raise_for_status()

    def _obey(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        name = message.topic.rpartition("/")[2]
        command = msgspec.json.decode(message.payload, type=PART_COMMANDS[name])
        if any(known.id == command.id for known in self.heard):
            return
        self.heard.append(command)
        detail = ""
        if isinstance(command, ShowRack):
            httpx.put(f"{self.centre.url}{command.path}", content=self.picture, timeout=20).raise_for_status()
        elif isinstance(command, TeachRack):
            content = httpx.get(f"{self.centre.url}{command.path}", timeout=20).raise_for_status().content
            assert hashlib.sha256(content).hexdigest() == command.sha256
            self.taught = parse(content)
            detail = f"{len(self.taught.slots)} cases apprises"
        elif isinstance(command, SetRackMode):
            self.say(RackModeChanged(rack=self.rack, mode=command.mode, person=command.person))
        elif isinstance(command, SettleMove):
            self.say(RackModeChanged(rack=self.rack, mode="counting"))
        elif isinstance(command, SetSlotCount):
            self.counts[command.slot] = command.count
        self.say(AgentAnswered(command=name, id=command.id, done=True, detail=detail))
