"""What is signed, as one text with its hash; whether the books still say it; what tampering looks like. Pure.

The signed text is canonical JSON: who, when, by what proof, with which meaning, and the facts as they were read. Its
plain SHA-256 is the signature's hash, so that `sha256sum` on an exported text says the same.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from central.audit.rules import Finding, canonical

Meaning: TypeAlias = Literal["executed", "conform", "released"]
Standing: TypeAlias = Literal["unsigned", "changed", "signed"]
Facts: TypeAlias = dict[str, Any]
"""JSON: what the books say of one operation (`central.signing.facts`)."""

MEANINGS: Final[dict[Meaning, str]] = {
    "executed": "Exécuté",
    "conform": "Contrôlé conforme",
    "released": "Libéré",
}
FORM: Final = "copeau signature 1"
UNLINKED: Final = "x-"
"""Begins the ids of persons whose link to the books was cut (`central.privacy`)."""
_LISTS: Final = ("work", "declared")
"""Lists of the facts whose rows name a person."""


class Statement(NamedTuple):
    """What a person declares of the facts."""

    site: str
    operation: str
    person: str
    """Opaque id."""
    meaning: str
    at: datetime
    proof: tuple[str, ...]
    """How the person was asked again who it is: ``password``, ``code``, ``passkey``."""


class Signed(NamedTuple):
    """A signature as its table holds it."""

    id: int
    entry_id: int
    operation: str
    person: str
    meaning: str
    at: datetime
    text: str
    hash: str


class Line(NamedTuple):
    """An entry of the journal that says that somebody signed."""

    id: int
    who: str
    subject: str
    detail: Mapping[str, Any]


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def text_of(statement: Statement, facts: Facts) -> str:
    """The text that is signed. Raises TypeError, ValueError on facts that are no JSON."""
    said = statement._asdict() | {"at": moment(statement.at), "proof": list(statement.proof)}
    return canonical(said | {"form": FORM, "facts": facts, "says": MEANINGS.get(_meaning(statement.meaning), "")})


def hash_of(text: str) -> str:
    """SHA-256 of the UTF-8 text, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def seen(facts: Facts) -> str:
    """What a page shows of the facts, in one word: signed is what was read, or nothing."""
    return hash_of(canonical(facts))


def agrees(text: str, hashed: str, facts: Facts) -> bool:
    """Whether the same signature over the facts of today would have the same hash."""
    try:
        document = json.loads(text)
        document["facts"] = relinked(document["facts"], facts)
        return hash_of(canonical(document)) == hashed
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def relinked(signed: Facts, now: Facts) -> Facts:
    """`now` with the persons whose link was cut since put back as they were signed: forgetting who it was in time
    changes no work. Everything else stays as it is now.
    """
    found = dict(now)
    for name in _LISTS:
        left = Counter((_but_person(row), row.get("person")) for row in signed.get(name, ()))
        rows = []
        for row in now[name]:
            known = (_but_person(row), row["person"])
            if left[known] > 0:
                left[known] -= 1
            rows.append(row)
        found[name] = sorted((_given_back(row, left) for row in rows), key=order_of)
    return found


def order_of(row: Mapping[str, Any]) -> str:
    """Sorts the rows of a list of the facts, whoever stands in them last."""
    return canonical([row.get("begin") or row.get("at"), _but_person(row), row.get("person")])


def standing(texts: Iterable[tuple[str, str]], facts: Facts) -> Standing:
    """Of an operation: `texts` are (text, hash) of its signatures."""
    found = [agrees(text, hashed, facts) for text, hashed in texts]
    if not found:
        return "unsigned"
    return "signed" if any(found) else "changed"


def check(signatures: Iterable[Signed], lines: Iterable[Line]) -> Iterator[Finding]:
    """Every signature is what was signed and has its line of the journal; every such line has its signature."""
    said = {line.id: line for line in lines}
    for one in signatures:
        name = f"La signature n° {one.id} ({one.operation})"
        line = said.pop(one.entry_id, None)
        if hash_of(one.text) != one.hash:
            yield Finding("signature", one.entry_id, f"{name} ne porte plus le texte qui a été signé.")
        elif not _is_of_its_row(one):
            yield Finding("signature", one.entry_id, f"{name} ne dit pas ce que dit son texte signé.")
        if line is None:
            yield Finding("signature", one.entry_id, f"{name} n'a pas sa ligne {one.entry_id} dans le journal.")
        elif (line.who, line.subject, line.detail.get("hash"), line.detail.get("meaning")) != (
            one.person, f"operation:{one.operation}"[:160], one.hash, one.meaning,
        ):  # fmt: skip
            yield Finding("signature", one.entry_id, f"{name} n'est pas celle de la ligne {one.entry_id} du journal.")
    for line in said.values():
        yield Finding("signature", line.id, f"La signature de la ligne {line.id} du journal a disparu.")


def _is_of_its_row(one: Signed) -> bool:
    try:
        said = json.loads(one.text)
        told = (said["operation"], said["person"], said["meaning"], said["at"])
    except (ValueError, KeyError, TypeError):
        return False
    return told == (one.operation, one.person, one.meaning, moment(one.at))


def _given_back(row: dict[str, Any], left: Counter[tuple[str, Any]]) -> dict[str, Any]:
    person = row["person"]
    if not isinstance(person, str) or not person.startswith(UNLINKED):
        return row
    alike = _but_person(row)
    former = min((who for (rest, who), count in left.items() if rest == alike and count > 0 and who), default=None)
    if former is None:
        return row
    left[alike, former] -= 1
    return row | {"person": former}


def _but_person(row: Mapping[str, Any]) -> str:
    return canonical({name: value for name, value in row.items() if name != "person"})


def _meaning(name: str) -> Meaning:
    if name not in MEANINGS:
        raise ValueError(f"Sens de signature inconnu : {name}")
    return name
