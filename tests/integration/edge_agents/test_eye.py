"""An eye alone, on a recording whose camera is pushed: a person's word about it, a new drawing, an old snapshot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from contracts import racks
from edge_agents import rack_messages as messages
from edge_agents.rack_eye import Eye, Inbox
from vision.rendering.live import LiveRack

PUSH = np.array([[1.0, 0.0, 55.0], [0.0, 1.0, 18.0]])
"""Of a 640 px picture: too far for the rack to be found again without a person."""
Image = npt.NDArray[np.uint8]


class Recording:
    """A rendered rack at rest: pictures before and after the push, as a folder each."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        live = LiveRack(7)
        self.description = directory / "rack.json"
        self.description.write_bytes(msgspec.json.encode(live.rack))
        frames = live.rest(40).frames
        height, width = frames[0].shape[:2]
        self.push = PUSH * np.array([[1, 1, width / 640], [1, 1, width / 640]])
        self.before = frames
        self.after = [
            np.asarray(cv2.warpAffine(f, self.push, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)
            for f in frames
        ]

    def folder(self, name: str, frames: list[Image]) -> Path:
        made = self.directory / name
        made.mkdir()
        for n, frame in enumerate(frames):
            cv2.imwrite(str(made / f"{n:04d}.png"), frame)
        return made

    def drawn_after(self) -> racks.RackDescription:
        """The places drawn again where they are since the push."""
        rack = racks.parse(self.description.read_bytes())
        dx, dy = (float(v) for v in self.push[:, 2])
        slots = [
            msgspec.structs.replace(slot, polygon=[(x + dx, y + dy) for x, y in slot.polygon]) for slot in rack.slots
        ]
        return msgspec.structs.replace(rack, slots=slots)


class Watch:
    """One eye over a folder, to its end; what it said."""

    def __init__(
        self,
        recording: Recording,
        folder: Path,
        snapshot: bytes | None = None,
        pending: list[messages.Correction] | None = None,
        on_moved: messages.Told | None = None,
        *,
        trusted: bool = True,
    ) -> None:
        self.said: list[messages.Said] = []
        inbox = Inbox()

        def say(said: messages.Said) -> None:
            self.said.append(said)
            words = said.words if isinstance(said, messages.Settled) else []
            if on_moved is not None and any(isinstance(w, messages.ModeIs) and w.code == "moved" for w in words):
                inbox.put(on_moved)

        order = messages.Order(
            source=str(folder), rack=str(recording.description), fps=10.0, loop=False, detector="onnx", model=None,
            judge=None, snapshot=snapshot, trusted=trusted, pending=pending or [],
        )  # fmt: skip
        Eye(order, say, inbox, sleep=lambda seconds: None).watch()

    @property
    def words(self) -> list[messages.Word]:
        return [word for said in self.said if isinstance(said, messages.Settled) for word in said.words]

    @property
    def modes(self) -> list[tuple[str, str]]:
        return [(word.mode, word.code) for word in self.words if isinstance(word, messages.ModeIs)]

    @property
    def snapshot(self) -> bytes:
        return [said.snapshot for said in self.said if isinstance(said, messages.Settled) and said.snapshot][-1]

    def moved(self) -> list[messages.Word]:
        return [word for word in self.words if isinstance(word, messages.Change | messages.Ask)]

    def index(self, of: Callable[[messages.Said], bool]) -> int:
        return next(n for n, said in enumerate(self.said) if of(said))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return Recording(tmp_path_factory.mktemp("push"))


@pytest.fixture(scope="module")
def pushed(recording: Recording) -> Watch:
    """It saw the push; nobody has said anything."""
    watch = Watch(recording, recording.folder("pushed", recording.before + recording.after))
    assert watch.modes == [("counting", "ok"), ("blind", "moved")]
    return watch


@pytest.fixture(scope="module")
def after(recording: Recording) -> Path:
    return recording.folder("after", recording.after + recording.after)


def test_a_move_that_was_accepted_is_counted_on_and_outlives_the_eye(
    recording: Recording, pushed: Watch, after: Path
) -> None:
    accepted = Watch(recording, after, pushed.snapshot, on_moved=messages.HaveMoved("m1", accept=True))
    assert accepted.modes == [("blind", "moved"), ("counting", "ok")]
    assert accepted.moved() == []
    again = Watch(recording, after, accepted.snapshot)
    assert again.modes == [("counting", "ok")]


def test_a_word_about_a_move_waits_on_the_disk_until_an_eye_saw_the_move(
    recording: Recording, pushed: Watch, after: Path
) -> None:
    """It was answered while no eye was there: said before the first frame, it would be about nothing, and lost."""
    watch = Watch(recording, after, pushed.snapshot, [messages.HaveMoved("m1", accept=True)])
    assert watch.modes == [("blind", "moved"), ("counting", "ok")]
    seen = watch.index(lambda s: isinstance(s, messages.Settled) and bool(s.words))
    applied = watch.index(lambda s: isinstance(s, messages.Settled) and "m1" in s.applied)
    assert seen < applied


def test_a_rack_drawn_again_after_the_push_counts(recording: Recording, pushed: Watch, after: Path) -> None:
    watch = Watch(recording, after, pushed.snapshot, on_moved=messages.BeTaught("t1", recording.drawn_after()))
    assert [said.done for said in watch.said if isinstance(said, messages.Answer)] == [True]
    assert watch.modes == [("blind", "moved"), ("counting", "ok")]
    assert watch.moved() == []


def test_words_of_persons_are_applied_each_with_a_snapshot_that_holds_it(recording: Recording, pushed: Watch) -> None:
    still = recording.folder("still", recording.before)
    first = Watch(recording, still)
    a, b = (slot.id for slot in racks.parse(recording.description.read_bytes()).slots[:2])
    said = Watch(recording, still, first.snapshot, [messages.HaveCount("c1", a, 7), messages.HaveCount("c2", b, 8)])
    for asked, slot, count in (("c1", a, 7), ("c2", b, 8)):
        holder = said.said[said.index(lambda s, asked=asked: isinstance(s, messages.Settled) and asked in s.applied)]  # type: ignore[misc]  # bound now
        assert isinstance(holder, messages.Settled)
        assert msgspec.json.decode(holder.snapshot)["places"][slot]["count"] == count


def test_a_snapshot_that_is_not_trusted_gives_a_reading_and_no_movement(recording: Recording) -> None:
    still = recording.folder("untrusted", recording.before)
    known = msgspec.json.decode(Watch(recording, still).snapshot)
    slot = next(slot for slot, place in known["places"].items() if place["count"])
    known["places"][slot]["count"] += 1
    known["places"][slot]["memory"]["count"] += 1
    old = msgspec.json.encode(known)
    watch = Watch(recording, still, old, trusted=False)
    assert watch.moved() == []
    assert [word.why for word in watch.words if isinstance(word, messages.Read)][:1] == ["start"]
