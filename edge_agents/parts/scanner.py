"""A post's scanner: every code that it reads becomes ``code.scanned``, known or not; the centre says what it means."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from contracts.facts import CodeScanned
from edge_agents.clock import Moment
from edge_agents.outbox import Fact
from edge_agents.parts import feeds
from edge_agents.sections import ScannerSection
from edge_agents.supervisor import Desk, SourceFault
from vision.codes import CodeReader
from vision.codes.files import ImageError
from vision.codes.files import load as load_image
from vision.sources import CameraGoneError, Frame, SourceError, open_source

_PHOTOS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif")
_LOOK_EVERY_S = 0.5
_SETTLED_NS = 5 * 10**9
_AIM = {"C": "Code128", "Q": "QRCode", "d": "DataMatrix", "E": "EAN13", "A": "Code39", "I": "ITF", "z": "Aztec"}
"""Symbology letters of ISO/IEC 15424, which a scanner may send in front (``]C1…``)."""
_LONGEST: Final = 120


class Scan(NamedTuple):
    """One code as read: its text and symbology."""

    text: str
    format: str


class Same:
    """The same code by the same post within some seconds is one scan.

    Time counts from the last one recorded; with `while_seen` from the last one seen, for a camera before which a code
    lies.
    """

    def __init__(self, within_ms: int, *, while_seen: bool = False) -> None:
        self._within = within_ms
        self._while_seen = while_seen
        self._last: dict[str, int] = {}

    def is_new(self, text: str, mono: int) -> bool:
        last = self._last.get(text)
        new = last is None or mono - last >= self._within
        if new or self._while_seen:
            self._last[text] = mono
        if len(self._last) > 1000:
            self._last = {t: at for t, at in self._last.items() if mono - at < self._within}
        return new

    def forget(self, texts: Iterable[str]) -> None:
        """These were not recorded after all: the next reading of them is new."""
        for text in texts:
            self._last.pop(text, None)


class ScannerPart:
    """Reads one source of codes until it fails; the supervisor opens it again."""

    kind = "scanner"

    def __init__(self, config: ScannerSection) -> None:
        self.name = config.name
        self.about: Mapping[str, str] = {}
        self._config = config
        self._same = Same(round(config.same_within_s * 1000), while_seen=config.camera is not None)

    async def run(self, desk: Desk) -> None:
        config = self._config
        if config.images is not None:
            await self._photos(config.images, desk)
        elif config.camera is not None:
            await self._camera(config.camera, desk)
        else:
            await self._device(desk)

    def _facts(self, scans: list[Scan], moment: Moment) -> list[Fact]:
        config = self._config
        return [
            Fact(
                CodeScanned(
                    code=fitting(scan.text),
                    format=scan.format[:_LONGEST],
                    post=config.post,
                    action=config.action,
                    qty=config.qty,
                    place=config.place,
                    person=config.person,
                    operation=config.operation,
                ),
                moment,
            )
            for scan in scans
            if self._same.is_new(scan.text, moment.mono)
        ]

    async def _record(self, scans: list[Scan], moment: Moment, desk: Desk, seen: dict[str, int] | None = None) -> None:
        """Write what is new; a scan that could not be written counts as never read, so that it can be made again."""
        new = self._facts(scans, moment)
        if not new and seen is None:
            return
        try:
            await desk.put(new, seen)
        except BaseException:
            self._same.forget(scan.text for scan in scans)
            raise

    # Devices that read by themselves

    def _open(self) -> tuple[feeds.Device, str]:
        config = self._config
        if config.serial is not None:
            return feeds.open_serial(config.serial, config.baud), config.serial
        if config.keyboard is not None:
            return feeds.open_keyboard(config.keyboard), config.keyboard
        assert config.lines is not None
        return feeds.open_lines(config.lines), config.lines

    async def _device(self, desk: Desk) -> None:
        device, name = self._open()
        await desk.works()
        async with aclosing(feeds.scans(device, name)) as scans:
            async for text in scans:
                scan = of_device(text)
                if scan is not None:
                    await self._record([scan], desk.clock.now(), desk)

    # Photos put into a folder

    async def _photos(self, folder: Path, desk: Desk) -> None:
        saved = await desk.cursor()
        seen: dict[str, int] = {} if saved is None else msgspec.json.decode(saved, type=dict[str, int])
        reader = CodeReader()
        while True:
            photos = await asyncio.to_thread(_photos_in, folder)
            await desk.works()
            known = {_legible(name): at for name, at in photos.items()}
            seen = {name: at for name, at in seen.items() if known.get(name) == at}
            fresh = [name for name in photos if _legible(name) not in seen]
            for name in fresh:
                if await self._photo(folder / name, photos[name], reader, seen, desk):
                    await asyncio.sleep(self._config.every_s)
            if self._config.loop and photos and len(seen) == len(photos):
                seen = {}
                await asyncio.sleep(max(self._config.every_s, 0.1))
            elif not fresh:
                await asyncio.sleep(_LOOK_EVERY_S)

    async def _photo(self, path: Path, changed: int, reader: CodeReader, seen: dict[str, int], desk: Desk) -> bool:
        """Read one photo; its codes and the fact that it was read are one transaction. False: not whole yet."""
        moment = desk.clock.now()
        try:
            image = await asyncio.to_thread(load_image, path)
        except ImageError as error:
            if (moment.wall.timestamp() * 10**9) - changed < _SETTLED_NS:
                await asyncio.sleep(_LOOK_EVERY_S)  # perhaps still being written
                return False
            name = _legible(path.name)
            said = _legible(f"Photo {name} illisible ({error}).")
            await desk.report("error", f"photo {name}"[:_LONGEST], said)
            codes = []
        else:
            codes = await asyncio.to_thread(reader.read, image)
        seen[_legible(path.name)] = changed
        await self._record([Scan(code.text, code.format) for code in codes], moment, desk, seen)
        return True

    # A camera before which codes are held

    async def _camera(self, spec: str, desk: Desk) -> None:
        reader = CodeReader(effort="live")
        stopping = threading.Event()

        def pause(seconds: float) -> None:
            stopping.wait(seconds)

        try:
            source = open_source(spec, fps=self._config.fps, realtime=True, loop=True, sleep=pause)
        except SourceError as error:
            raise SourceFault(
                "source", str(error), f"Caméra {spec} introuvable : corriger `camera`.", "error"
            ) from error
        try:
            frames: Iterator[Frame] = iter(source)
            while (frame := await asyncio.to_thread(_next, frames)) is not None:
                await desk.works()
                moment = desk.clock.now()
                codes = await asyncio.to_thread(reader.read, frame.image)
                await self._record([Scan(code.text, code.format) for code in codes], moment, desk)
        except CameraGoneError as error:
            french = f"Caméra du poste {self._config.post} sans réponse : vérifier son câble et son alimentation."
            raise SourceFault("camera_gone", str(error), french) from error
        except SourceError as error:
            raise SourceFault("source", str(error), f"Images illisibles ({spec}).", "error") from error
        finally:
            stopping.set()
            source.close()


def of_device(text: str) -> Scan | None:
    """A scan as a device sends it; None for nothing but control characters."""
    cleaned = "".join(c for c in text if c.isprintable()).strip()
    kind = "wedge"
    if cleaned.startswith("]") and len(cleaned) > 3:
        kind, cleaned = _AIM.get(cleaned[1], "wedge"), cleaned[3:]
    return Scan(cleaned, kind) if cleaned else None


def fitting(text: str) -> str:
    """A code as a fact may hold it: what is too long is cut and told apart by its hash."""
    if len(text) <= _LONGEST:
        return text
    return f"{text[:100]}…{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def _legible(name: str) -> str:
    """A file's name as text that can be stored and shown, also when it is not UTF-8 on the disk."""
    return name.encode("utf-8", "backslashreplace").decode()


def _photos_in(folder: Path) -> dict[str, int]:
    """Photo name → time of change in ns, oldest first. Raises SourceFault."""
    try:
        found = [(path.stat().st_mtime_ns, path.name) for path in folder.iterdir() if path.suffix.lower() in _PHOTOS]
    except OSError as error:
        french = f"Dossier de photos {folder} inaccessible : le créer ou vérifier le montage."
        raise SourceFault("folder", f"{folder}: {error}", french) from error
    return {name: changed for changed, name in sorted(found)}


def _next(frames: Iterator[Frame]) -> Frame | None:
    return next(frames, None)
