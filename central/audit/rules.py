"""The chain of the journal: what is hashed, and what a change, a removal or a truncation looks like. Pure.

Entry n holds ``SHA-256(mark ‖ canonical JSON of [hash of n−1, n, at in µs, who, what, subject, detail])``. Whoever can
write to the database can also compute hashes: what he cannot do is agree with an anchor that lies elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, TypeAlias

GENESIS: Final = "0" * 64
"""Stands for the hash before the first entry."""
_MARK: Final = b"copeau journal 1\n"
_NOTE_MARK: Final = b"copeau journal note 1\n"
SEALED: Final = "sealed"
"""``{"comment": {"sealed": "<salted hash>"}}`` in a detail: the text lies in a note."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

Kind: TypeAlias = Literal["changed", "removed", "truncated", "rewritten", "note", "anchor", "head", "signature"]


class Entry(NamedTuple):
    id: int
    at: datetime
    who: str
    what: str
    subject: str
    detail: str
    """Canonical JSON."""
    hash: str


class Note(NamedTuple):
    entry_id: int
    name: str
    salt: str | None
    text: str | None
    erased_by: int | None


@dataclass(frozen=True, slots=True)
class Mark:
    """Something known of the chain from elsewhere: after entry `id` its hash was `hash`."""

    id: int
    hash: str
    source: str
    """French, for the person who reads the finding: « ancre du 3 mai », « dernier point connu »."""
    at: datetime | None = None
    """When it was signed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something is wrong from entry `id` on."""

    kind: Kind
    id: int
    text: str
    """French."""
    known_at: datetime | None = None
    """When the end that the journal does not hold was signed; None where something else is wrong."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Line `entry` says that a backup was put back: of the lines from `after` + 1 to `upto`, signed until `known_at`,
    those written after the backup are lost.
    """

    entry: int
    at: datetime
    who: str
    after: int
    upto: int
    known_at: datetime

    def explains(self, finding: Finding) -> bool:
        """Only an end that is missing, and that was known before; nothing that is wrong with lines that are there."""
        known = finding.known_at
        return known is not None and known <= self.known_at and self.after < finding.id <= self.upto


RESTORED: Final = "audit.restore"


def loss_in(entry: Entry) -> Loss | None:
    """What an entry `RESTORED` says; None for any other, and for one that says nothing legible."""
    if entry.what != RESTORED:
        return None
    try:
        said = json.loads(entry.detail)
        until = datetime.fromisoformat(said["known_at"])
        if until.tzinfo is None:
            return None
        return Loss(entry.id, entry.at, entry.who, int(said["after"]), int(said["upto"]), until)
    except (KeyError, TypeError, ValueError):
        return None


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces. Raises TypeError, ValueError on what is not JSON."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def entry_hash(before: str, entry: Entry) -> str:
    """What `entry.hash` must be after the entry whose hash is `before`."""
    at = (entry.at - _EPOCH) // _MICROSECOND
    covered = [before, entry.id, at, entry.who, entry.what, entry.subject, entry.detail]
    return hashlib.sha256(_MARK + canonical(covered).encode()).hexdigest()


def note_hash(salt: str, text: str) -> str:
    """Salted, so that a short text cannot be guessed once it is erased."""
    return hashlib.sha256(_NOTE_MARK + canonical([salt, text]).encode()).hexdigest()


class Chain:
    """Walks the entries in the order of their ids and keeps what is wrong.

    `marks` are anchors and the last point known outside the database. `findings` is whole after `end`.
    """

    def __init__(self, marks: Iterable[Mark] = ()) -> None:
        self._marks: dict[int, list[Mark]] = {}
        for mark in marks:
            self._marks.setdefault(mark.id, []).append(mark)
        self.last = 0
        self.hash = GENESIS
        self.findings: list[Finding] = []
        self.agreed: list[Mark] = []
        """The marks that the entries agree with."""

    def take(self, entry: Entry) -> None:
        if entry.id != self.last + 1:
            self._removed(self.last + 1, entry.id - 1)
        elif entry_hash(self.hash, entry) != entry.hash:
            self._find("changed", entry.id, f"La ligne {entry.id} a été modifiée, déplacée ou ajoutée après coup.")
        for mark in self._marks.pop(entry.id, ()):
            if mark.hash == entry.hash:
                self.agreed.append(mark)
            else:
                self._find(
                    "rewritten", entry.id,
                    f"La ligne {entry.id} n'est pas celle de {mark.source} : le journal a été réécrit avant ce point.",
                    mark.at,
                )  # fmt: skip
        self.last, self.hash = entry.id, entry.hash

    def end(self) -> None:
        """No more entries come."""
        for mark_id in sorted(self._marks):
            for mark in self._marks[mark_id]:
                if mark_id > self.last:
                    self._find(
                        "truncated", mark_id,
                        f"Le journal s'arrête à la ligne {self.last} ; {mark.source} en connaît {mark_id} : "
                        "la fin a été supprimée, ou une sauvegarde plus ancienne a été remise.",
                        mark.at,
                    )  # fmt: skip

    def _removed(self, first: int, last: int) -> None:
        lines = f"La ligne {first} manque" if first >= last else f"Les lignes {first} à {last} manquent"
        self._find("removed", first, f"{lines} : supprimée{'' if first >= last else 's'}.")

    def _find(self, kind: Kind, entry_id: int, text: str, known_at: datetime | None = None) -> None:
        self.findings.append(Finding(kind, entry_id, text, known_at))


def check_notes(
    entries: Sequence[Entry], notes: Mapping[tuple[int, str], Note], erased_in: Mapping[int, frozenset[int]]
) -> Iterator[Finding]:
    """Every sealed text is there as it was written, or an entry says that it was erased.

    `notes` are those of `entries`; `erased_in` maps the id of an erasing entry to the ids of entries whose texts it
    names.
    """
    for entry in entries:
        for name, sealed in sealed_texts(entry.detail).items():
            note = notes.get((entry.id, name))
            if note is None:
                yield Finding("note", entry.id, f"Le texte « {name} » de la ligne {entry.id} a disparu.")
            elif note.text is None or note.salt is None:
                if note.erased_by is None or entry.id not in erased_in.get(note.erased_by, frozenset()):
                    yield Finding(
                        "note",
                        entry.id,
                        f"Le texte « {name} » de la ligne {entry.id} est effacé sans acte qui le dise.",
                    )
            elif note_hash(note.salt, note.text) != sealed:
                yield Finding("note", entry.id, f"Le texte « {name} » de la ligne {entry.id} a été modifié.")


def sealed_texts(detail: str) -> dict[str, str]:
    """Name → salted hash. A detail that is no JSON has none: its hash tells."""
    try:
        found = json.loads(detail)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        name: value[SEALED]
        for name, value in found.items()
        if isinstance(value, dict) and set(value) == {SEALED} and isinstance(value[SEALED], str)
    }
