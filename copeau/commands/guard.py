"""``copeau cnc guard``: the collision guard over recorded telemetry."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from cnc_bridge.guard import Guard, GuardSettings, Memory, Verdict
from cnc_bridge.guard.names import MapError, parse_map
from cnc_bridge.guard.reading import FileError, Recording, is_judged
from cnc_bridge.guard.replay import guard_for, judge, learn
from cnc_bridge.guard.settings import Limits


class _LearnList(click.Command):
    """Lets ``FILE… --learn A B C`` mean all three, as a person writes it; `--learn A --learn B` means the same."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _spelt_out(args))


def _spelt_out(args: list[str]) -> list[str]:
    """Repeat `--learn` before each of its files. Without a FILE before it, `--learn` takes one: the rest are FILEs."""
    out: list[str] = []
    files_before = takes = False
    values = 0
    for arg in args:
        if arg == "--learn":
            takes, values = True, 0
            continue
        if arg.startswith("-") and arg != "-":
            takes = False
        elif takes and (files_before or values == 0):
            out += ["--learn", arg]
            values += 1
            continue
        elif not (out and out[-1] in _WITH_VALUE):
            files_before = True
        out.append(arg)
    return [*out, "--learn"] if takes and values == 0 else out


_WITH_VALUE = ("--map", "--period", "--limit", "--memory", "--save", "--min-cycles", "--margin")


@click.command("guard", cls=_LearnList)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option(
    "--learn", "teachers", multiple=True, type=click.Path(path_type=Path), metavar="FILE...",
    help="Recordings of good cycles to learn from; several may follow.",
)  # fmt: skip
@click.option("--map", "mapping", help="Names: `signal=column,signal=column`, or a TOML or JSON file of the same.")
@click.option(
    "--period", type=click.FloatRange(min=0, min_open=True), help="Seconds between the rows of a CSV without times."
)
@click.option(
    "--limit", "limits", multiple=True, metavar="SIGNAL=ALERT[:HOLD]", help="A fixed limit; 'none' takes one away."
)
@click.option(
    "--min-cycles",
    type=click.IntRange(min=1),
    help="Good cycles before a learnt limit counts  [1 with --learn, else 3]",
)
@click.option("--margin", type=click.FloatRange(min=0), help="Share added to what good cycles reached  [0.25]")
@click.option("--memory", type=click.Path(path_type=Path), help="Learnt limits of a machine, to begin with.")
@click.option("--save", type=click.Path(path_type=Path), help="Write what was learnt to this file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line per verdict.")
def command(
    files: tuple[Path, ...],
    teachers: tuple[Path, ...],
    mapping: str | None,
    period: float | None,
    limits: tuple[str, ...],
    min_cycles: int | None,
    margin: float | None,
    memory: Path | None,
    save: Path | None,
    as_json: bool,
) -> None:
    """Judge recordings as the collision guard judges a machine, one line per verdict.

    FILE is an SHDR recording, MTConnect observation lines (`ts|item|value`), or CSV with a column `ts` (else
    --period). Known item names (S1load, Sload, Xload, S1_OutputPower...) need no --map.

    A verdict is `watch` at the first sample above a limit, `alert` when the next stays above, `hold` when it goes on
    for one more sampling period above the hold limit. Limits are fixed (the usual ones for loads in percent, or
    --limit) and learnt per programme and tool. With --learn the limits come from those files, which are taken to be
    good. Without it each FILE teaches itself: a limit counts from the 4th cycle of the same programme and tool, cycles
    with an alert, an alarm or an abort are not learnt, and until then only the fixed limits judge.

    In a CSV that names neither programme nor execution, each file is one cycle. Times may go back (the first lines of
    a log are older): each step back of more than a second is taken as a new session.
    """
    try:
        names = parse_map(mapping) if mapping else {}
        fixed = _limits(limits)
        judged = [Recording(path, names, period) for path in files]
        settings = _settings(fixed, min_cycles or (1 if teachers else 3), margin)
        known = Memory.load(memory) if memory else Memory()
        taught = learn([Recording(path, names, period) for path in teachers], settings, known)
        for recording in judged:
            own = taught if teachers or memory else Memory()
            guard = guard_for(settings, own)
            _judge(recording, guard, several=len(files) > 1, as_json=as_json)
            if not teachers and not memory:
                taught = own
        if save is not None:
            taught.save(save)
    except (FileError, MapError, OSError, ValueError) as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from error


def _judge(recording: Recording, guard: Guard, *, several: bool, as_json: bool) -> None:
    count = 0
    for verdict in judge(guard, recording.samples()):
        count += 1
        click.echo(_json(recording, verdict, several=several) if as_json else _line(recording, verdict))
        if as_json:
            sys.stdout.flush()
    guard.finish(completed=True)
    said = [f"{column!r} is not in this file" for column in recording.missing]
    if not guard.watched:
        said.append("nothing to judge: no load, current, following error, vibration or contact in it (see --map)")
    for sentence in said:
        click.echo(f"{recording.path}: {sentence}", err=True)
    if not as_json:
        columns = ", ".join(f"{s} ({recording.columns.get(s, s)})" for s in guard.watched)
        learnt = f"{guard.learnt_cycles} cycles learnt here"
        click.echo(f"{recording.path}: {count} verdicts; judged: {columns or 'nothing'}; {learnt}")


def _json(recording: Recording, verdict: Verdict, *, several: bool) -> str:
    said: dict[str, Any] = {
        "ts": recording.text(verdict.ts), "level": verdict.level, "signal": verdict.signal,
        "value": round(verdict.value, 6), "limit": round(verdict.limit, 6), "why": _why(recording, verdict),
    }  # fmt: skip
    if several:
        said["file"] = str(recording.path)
    return json.dumps(said, ensure_ascii=False)


def _line(recording: Recording, verdict: Verdict) -> str:
    return (
        f"{recording.text(verdict.ts)}  {verdict.level:5}  {verdict.signal} {verdict.value:g} > {verdict.limit:g} "
        f"{verdict.unit}  {_why(recording, verdict)}"
    )


def _why(recording: Recording, verdict: Verdict) -> str:
    column = recording.columns.get(verdict.signal, verdict.signal)
    where = " ".join(filter(None, (verdict.programme, f"outil {verdict.tool}" if verdict.tool else "")))
    return f"{column} {verdict.why}" + (f" ; {where}" if where else "")


def _settings(limits: dict[str, Limits], min_cycles: int, margin: float | None) -> GuardSettings:
    chosen = GuardSettings(limits=limits, min_cycles=min_cycles)
    return chosen if margin is None else chosen.model_copy(update={"margin": margin})


def _limits(texts: tuple[str, ...]) -> dict[str, Limits]:
    out: dict[str, Limits] = {}
    for text in texts:
        signal, _, figures = text.partition("=")
        if not is_judged(signal):
            known = "spindle_load, x_load, z_following_error, vibration, contact"
            raise FileError(f"--limit {text}: no guarded signal is called {signal!r}; such are {known}")
        alert, _, hold = figures.partition(":")
        try:
            if alert == "none":
                out[signal] = Limits(alert=1e12)
            else:
                out[signal] = Limits(alert=float(alert) if alert else None, hold=float(hold) if hold else None)
        except ValueError as error:
            raise FileError(f"--limit {text}: write SIGNAL=ALERT or SIGNAL=ALERT:HOLD ({error})") from error
    return out
