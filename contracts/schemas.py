"""JSON Schema of everything on the wire, for those who write their own agent.

``python -m contracts.schemas`` writes them.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from contracts import control, facts, racks
from contracts.envelope import Envelope

DIRECTORY = Path(__file__).resolve().parent.parent / "docs" / "schemas"

_MESSAGES: dict[str, type[msgspec.Struct]] = {
    "envelope": Envelope,
    "ack": control.Ack,
    "cmd.resend": control.Resend,
    "cmd.time": control.TimeReply,
    "cmd.restart": control.Restart,
    "cmd.wipe": control.Wipe,
    **{f"cmd.{name}": form for name, form in control.PART_COMMANDS.items()},
    "centre.presence": control.CentrePresence,
    "agent.state": control.AgentState,
    **control.SETTLEMENTS,
    **facts.KINDS,
    "rack": racks.RackDescription,
}


def schemas() -> dict[str, str]:
    """File name → JSON Schema text, one file per message."""
    return {f"{name}.json": _text(name, struct) for name, struct in _MESSAGES.items()}


def _text(name: str, struct: type[msgspec.Struct]) -> str:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:copeau:v1:{name}",
        **msgspec.json.schema(struct, schema_hook=_hook),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _hook(of: type) -> dict[str, object]:
    if of is msgspec.Raw:
        return {"type": "object", "description": "The body of this kind."}
    raise NotImplementedError(f"no schema for {of}")


def write(directory: Path = DIRECTORY) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in schemas().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
