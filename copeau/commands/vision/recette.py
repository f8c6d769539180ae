"""``copeau vision recette``: a hundred moves at one rack, the truth by scan or keys, that rack's own figures."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from copeau.commands.vision.common import stop

if TYPE_CHECKING:
    from vision.evaluation.outcomes import Claim
    from vision.watching.said import Said
    from vision.watching.watcher import RackWatcher

_SETTLED_S = 1.5
_PATIENCE_S = 20.0
_VERDICTS = {
    "automatic_right": "juste",
    "automatic_wrong": "FAUX",
    "missed": "MANQUÉ",
    "asked_right": "demandé",
    "asked_needlessly": "demandé pour rien",
}


@click.command("recette")
@click.argument("source")
@click.option("--rack", "rack_file", type=click.Path(path_type=Path), required=True, help="rack.json")
@click.option("--moves", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, other moves.")
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), default=None, help="Go on from this file.")
@click.option("--fps", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Close with one JSON line.")
@click.option("--detector", default="onnx", show_default=True)
@click.option("--model", type=click.Path(path_type=Path), default=None)
def recette(
    source: str,
    rack_file: Path,
    moves: int,
    seed: int,
    state: Path | None,
    fps: float,
    as_json: bool,
    detector: str,
    model: Path | None,
) -> None:
    """Prove one rack: do each printed move before the camera SOURCE, then Enter; or type what was really done.

    `A3 -2 B1 +1` what moved, `0` nothing, `-` not done, `q` enough for today. A place's scanned code is one taken.
    """
    from vision.detectors import DetectorError, make_detector
    from vision.evaluation.checkpoint import Checkpoint, CheckpointError
    from vision.evaluation.recette import AnswerError, Recette, begin, lines, read_answer
    from vision.slots import RackError, load_rack
    from vision.sources import SourceError
    from vision.watching import RackWatcher

    try:
        rack = load_rack(rack_file)
        eye = RackWatcher(rack, make_detector(detector, model))
        checkpoint = Checkpoint(state, {"rack": str(rack_file), "slots": [s.id for s in rack.slots], "seed": seed})
        saved = checkpoint.load()
        run = Recette.from_json(saved) if saved else begin(rack, seed)
        watching = _Watching(eye, source, fps)
    except (RackError, DetectorError, SourceError, CheckpointError) as problem:
        stop(str(problem))
    for slot, count in run.counts.items():
        if saved:
            eye.set_count(slot, count)
    watching.start()
    try:
        while run.number < moves:
            move = run.next_move(rack)
            click.echo(f"{move.number + 1:>3}/{moves}  {move.text}", err=as_json)
            line = _line()
            if line is None or line.strip().lower() == "q":
                break
            try:
                deltas = read_answer(line, rack, move)
            except AnswerError as problem:
                click.echo(f"     {problem}", err=True)
                continue
            said = watching.settled()
            if deltas is None:
                run.skip()
            else:
                judged = run.done(rack, move, deltas, said)
                for one in judged:
                    seen = "?" if one.claimed is None else f"{one.claimed:+d}"
                    told = f"{one.slot} {_VERDICTS[one.outcome]}, vu {seen}, vrai {one.expected:+d}"
                    click.echo(f"     {told}", err=as_json)
                    if one.outcome != "automatic_right":
                        watching.tell(one.slot, run.counts[one.slot])
            checkpoint.save(run.as_json())
    except (CheckpointError, SourceError) as problem:
        stop(str(problem))
    except KeyboardInterrupt:
        click.echo("interrompu", err=True)
    finally:
        watching.close()
    if as_json:
        click.echo(json.dumps({"rack": rack_file.stem, "versions": watching.versions(), **run.figures()}))
    else:
        click.echo("\n".join(lines(run, [f"{k} : {v}" for k, v in watching.versions().items()])))


class _Watching:
    """The eye in its own thread, what it said kept until it is asked for."""

    def __init__(self, eye: RackWatcher, source: str, fps: float) -> None:
        from vision.privacy import OutlineCut
        from vision.sources import open_source

        self._eye = eye
        self._source = open_source(source, fps=fps, cut=OutlineCut(eye.rack))
        self._lock = threading.Lock()
        self._said: list[Said] = []
        self._clear_since: float | None = None
        self._ended = threading.Event()
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._source.close()
        self._thread.join(timeout=5)

    def settled(self) -> list[Claim]:
        """What was said since the last time, once the rack is clear; of a recording, once it is over.

        Raises SourceError when the source ended with one.
        """
        from vision.evaluation.saying import claims_of

        until = time.monotonic() + _PATIENCE_S
        while not self._ended.is_set() and time.monotonic() < until:
            clear = self._clear_since
            if self._source.live and clear is not None and time.monotonic() - clear > _SETTLED_S:
                break
            self._ended.wait(0.1)
        if self._problem is not None:
            raise self._problem
        with self._lock:
            said, self._said = self._said, []
        return claims_of(said)

    def tell(self, slot: str, count: int) -> None:
        with self._lock:
            self._eye.set_count(slot, count)

    def versions(self) -> dict[str, str]:
        versions = self._eye.versions
        return {"juge": versions["judge"], "mains": versions["hands"]}

    def _look(self) -> None:
        from vision.privacy import OutlineError
        from vision.sessions import State
        from vision.sources import CameraGoneError, SourceError

        try:
            while not self._ended.is_set():
                try:
                    for frame in self._source:
                        with self._lock:
                            self._said += self._eye.feed(frame.image, frame.ts)
                        if self._eye.state is not State.CLEAR:
                            self._clear_since = None
                        elif self._clear_since is None:
                            self._clear_since = time.monotonic()
                        if self._ended.is_set():
                            return
                    return
                except CameraGoneError as gone:
                    click.echo(str(gone), err=True)
        except (SourceError, OutlineError) as problem:
            self._problem = problem if isinstance(problem, SourceError) else SourceError(str(problem))
        finally:
            self._ended.set()


def _line() -> str | None:
    """A line of keys or of a scanner; None at the end of the input."""
    return sys.stdin.readline() or None
