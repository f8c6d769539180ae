"""The names that recordings use, and the guard's own: a table of known ones, and ``--map`` over it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from cnc_bridge.guard.signals import guarded, is_context


class Name(NamedTuple):
    """A guard's signal. `unit` None: as its name says; "" : not the usual one (kW where % is usual)."""

    signal: str
    unit: str | None = None


class MapError(ValueError):
    """The map cannot be used; says which entry and how it should look."""


_EXACT: Final[Mapping[str, Name]] = {
    # MTConnect adapters as Okuma and Mazak have them
    "pexecution": Name("execution"), "pmode": Name("mode"), "pprogram": Name("programme"),
    "program": Name("programme"), "p1currenttool": Name("tool"), "tool_number": Name("tool"),
    "current_tool": Name("tool"),
    "p1fact": Name("feed"), "fact": Name("feed"), "feed_rate": Name("feed"), "feedrate": Name("feed"),
    "pfovr": Name("feed_override"), "fovr": Name("feed_override"), "feed_override": Name("feed_override"),
    "ppartcount": Name("part_count"), "partcountact": Name("part_count"), "part_count": Name("part_count"),
    "s1speed": Name("spindle_speed"), "srpm": Name("spindle_speed"), "s1rpm": Name("spindle_speed"),
    "spindle_speed": Name("spindle_speed"), "s1cmd": Name("spindle_command"), "scmd": Name("spindle_command"),
    "unitnum": Name("segment"), "line": Name("line"), "sequencenum": Name("sequence"),
    "p1blocknumber": Name("line"), "block_number": Name("line"), "block": Name("block"),
    "estop": Name("emergency_stop"), "avail": Name("availability"), "program_status": Name("execution"),
    "program_name_running": Name("programme"),
    # UMich SMART lab
    "machining_process": Name("segment"), "m1_sequence_number": Name("line"), "m1_current_feedrate": Name("feed_set"),
    "s1_outputpower": Name("spindle_load", ""), "s1_currentfeedback": Name("spindle_current"),
    "s1_commandvelocity": Name("spindle_command"), "s1_actualvelocity": Name("spindle_speed"),
}  # fmt: skip
_PLAIN: Final = re.compile(r"(load|following_error|torque|power|^contact\w*|^vibration\w*|^acceleration\w*)(_?\d)?$")
_PATTERNS: Final[tuple[tuple[re.Pattern[str], str, str | None], ...]] = (
    (re.compile(r"^s1?load$"), "spindle_load", None),
    (re.compile(r"^s(\d)load$"), r"spindle_load_\1", None),
    (re.compile(r"^s(\d)_?(?:rpm|speed)$"), r"spindle_speed_\1", None),
    (re.compile(r"^([a-z]{1,2}\d?)load$"), r"\1_load", None),
    (re.compile(r"^([xyzabcuvw])\d?_outputpower$"), r"\1_load", ""),
    (re.compile(r"^([xyzabcuvw])\d?_currentfeedback$"), r"\1_current", None),
)


def known(item: str, have: frozenset[str] = frozenset()) -> Name | None:
    """The guard's signal of a recording's item; None when it says nothing to a guard. `have`: the other items."""
    low = item.lower().rpartition(":")[2]
    if low == "sload" and "s1load" in have:
        return Name("spindle_load_0")
    exact = _EXACT.get(low)
    if exact is not None:
        return exact
    for pattern, signal, unit in _PATTERNS:
        found = pattern.match(low)
        if found:
            return Name(found.expand(signal), unit)
    return Name(low) if is_context(low) or (_PLAIN.search(low) and guarded(low) is not None) else None


def parse_map(text: str) -> dict[str, Name]:
    """``--map``: `signal=column,signal=column`, or a TOML or JSON file of the same; column → signal. Raises MapError.

    Which side is the signal is seen from the names; `spindle_load = {column = "S1_OutputPower", unit = "kW"}` too.
    """
    path = Path(text)
    if "=" not in text or path.is_file():
        return _parse_table(_table(path))
    pairs: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        left, equals, right = part.partition("=")
        if not equals or not left.strip() or not right.strip():
            raise MapError(f"--map: {part!r} is not `signal=column`")
        pairs[left.strip()] = right.strip()
    return _parse_table(pairs)


def _table(path: Path) -> Mapping[str, Any]:
    try:
        raw = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MapError(f"--map: {path}: cannot be read ({error}); or write `signal=column,signal=column`") from error
    try:
        table = (
            json.loads(raw) if path.suffix.lower() == ".json" or raw.lstrip().startswith("{") else tomllib.loads(raw)
        )
    except ValueError as error:
        raise MapError(f"--map: {path}: not valid {'JSON' if path.suffix == '.json' else 'TOML'}: {error}") from error
    if not isinstance(table, dict):
        raise MapError(f'--map: {path}: write one table, `signal = "column"`')
    inner = next((table[name] for name in ("signals", "map") if isinstance(table.get(name), dict)), table)
    return dict(inner)


def _parse_table(table: Mapping[str, Any]) -> dict[str, Name]:
    out: dict[str, Name] = {}
    for left, right in table.items():
        unit: str | None = None
        named: Any = right
        if isinstance(right, dict):
            unit, named = right.get("unit"), right.get("column", right.get("key"))
        if not isinstance(named, str) or (unit is not None and not isinstance(unit, str)):
            raise MapError(f"--map: {left}: give the column's name as text")
        signal, column = (named, left) if _is_signal(named) and not _is_signal(left) else (left, named)
        if column in out:
            raise MapError(f"--map: the column {column!r} is mapped twice")
        out[column] = Name(signal, unit)
    if not out:
        raise MapError("--map: nothing is mapped; write `signal=column,signal=column`")
    return out


def _is_signal(name: str) -> bool:
    return name == "ts" or is_context(name) or (name.islower() and guarded(name) is not None)
