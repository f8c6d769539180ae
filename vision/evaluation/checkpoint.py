"""A long run's file: what it was asked, how far it is, what it counted. A killed run goes on from it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the text says which and why."""


class Checkpoint:
    """JSON on disk, replaced whole at each `save`.

    Args:
        path: where; None keeps nothing.
        asked: what the run is; a file of another run is refused rather than mixed.
    """

    def __init__(self, path: Path | None, asked: dict[str, Any]) -> None:
        self.path = path
        self.asked: dict[str, Any] = json.loads(json.dumps(asked))

    def load(self) -> dict[str, Any]:
        """What was saved, {} at the first start.

        Raises:
            CheckpointError: not readable, or of a run that was asked something else.
        """
        if self.path is None or not self.path.exists():
            return {}
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
            asked, state = document["asked"], document["state"]
        except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as problem:
            raise CheckpointError(f"{self.path}: no checkpoint of a run ({problem}); name another file") from problem
        if asked != self.asked:
            differs = sorted(k for k in {*asked, *self.asked} if asked.get(k) != self.asked.get(k))
            raise CheckpointError(
                f"{self.path}: of another run ({', '.join(differs)} differ); name another file, or remove it"
            )
        return dict(state)

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file; whole or not at all.

        Raises:
            CheckpointError: it cannot be written (full disk, no such folder).
        """
        if self.path is None:
            return
        beside = self.path.with_name(self.path.name + ".new")
        try:
            with beside.open("w", encoding="utf-8") as file:
                json.dump({"asked": self.asked, "state": state}, file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        except OSError as problem:
            raise CheckpointError(f"{self.path}: not saved: {problem.strerror or problem}") from problem
