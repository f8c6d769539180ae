"""Which text is a programme, what its header says, how a version becomes valid and who may do what. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal, NamedTuple, TypeAlias

from contracts import programmes as texts

Status: TypeAlias = Literal["draft", "to_validate", "validated", "obsolete"]
Act: TypeAlias = Literal["submit", "validate", "send_back", "withdraw"]
Role: TypeAlias = Literal["methodes", "programmeur", "regleur", "operateur"]
Dialect: TypeAlias = Literal["iso", "heidenhain", "siemens", ""]

ACTS: Final[dict[Act, tuple[frozenset[Status], Status, frozenset[Role]]]] = {
    "submit": (frozenset({"draft"}), "to_validate", frozenset({"methodes", "programmeur"})),
    "validate": (frozenset({"to_validate"}), "validated", frozenset({"methodes"})),
    "send_back": (frozenset({"to_validate"}), "draft", frozenset({"methodes", "programmeur"})),
    "withdraw": (frozenset({"draft", "to_validate", "validated"}), "obsolete", frozenset({"methodes", "programmeur"})),
}
"""From which status, to which, by whom. Validation is for méthodes alone: a programmer does not sign his own text."""
_MAY_CHANGE: Final = frozenset[Role]({"methodes", "programmeur"})
_NOT_YOU: Final = "Seuls les méthodes et les programmeurs changent les programmes."
_MAGIC: Final = (
    (b"PK\x03\x04", "une archive zip (ou un document Office) : en extraire le programme, puis envoyer le texte"),
    (b"\x1f\x8b", "une archive gzip : la décompresser d'abord"),
    (b"7z\xbc\xaf", "une archive 7z : la décompresser d'abord"),
    (b"Rar!", "une archive rar : la décompresser d'abord"),
    (b"%PDF", "un PDF : envoyer le texte du programme"),
    (b"\x89PNG", "une image"),
    (b"\xff\xd8\xff", "une image"),
    (b"\x7fELF", "un programme d'ordinateur"),
    (b"MZ\x90", "un programme d'ordinateur"),
    (b"\xd0\xcf\x11\xe0", "un document Office : envoyer le texte du programme"),
)


class NotYoursError(PermissionError):
    """The role may not do this. The text is French."""


class BadTextError(ValueError):
    """This is not the text of a programme. The text says why, in French."""


# Rights and statuses ----------------------------------------------------------------------------------------------


def judged(status: Status, act: Act, role: Role) -> Status:
    """The status after `act`. Raises NotYoursError, or ValueError when the status does not allow it."""
    befores, after, who = ACTS[act]
    if role not in who:
        raise NotYoursError("La validation est réservée aux méthodes." if role in _MAY_CHANGE else _NOT_YOU)
    if status not in befores:
        raise ValueError("Cette version n'est plus dans cet état : recharger la page.")
    return after


def acts_of(status: Status, role: Role) -> list[Act]:
    """What this role may do with a version of this status."""
    return [act for act, (befores, _, who) in ACTS.items() if status in befores and role in who]


def require_change(role: Role) -> None:
    """Raises NotYoursError."""
    if role not in _MAY_CHANGE:
        raise NotYoursError(_NOT_YOU)


# The text ---------------------------------------------------------------------------------------------------------


def checked_text(content: bytes) -> bytes:
    """The programme's bytes, without a byte order mark. Raises BadTextError: empty, an archive, binary, UTF-16."""
    if len(content) > texts.MAX_BYTES:
        raise BadTextError(f"Ce fichier est trop gros : {texts.MAX_BYTES // 2**20} Mo au plus.")
    for magic, said in _MAGIC:
        if content.startswith(magic):
            raise BadTextError(f"Ce fichier est {said}.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadTextError(
            "Ce fichier est en UTF-16 : l'enregistrer en texte simple (ANSI ou UTF-8), puis recommencer."
        )
    content = content.removeprefix(b"\xef\xbb\xbf")
    if not content.strip(b"\x00\x11\x12\x13\x14\x1a\r\n\t %"):
        raise BadTextError("Ce fichier est vide : il n'y a aucun bloc.")
    body = content.strip(b"\x00\x11\x12\x13\x14\x1a")
    start = body[:65_536]
    strange = sum(byte < 32 and byte not in b"\t\r\n\x0b\x0c\x11\x12\x13\x14\x1a" for byte in start)
    if b"\x00" in body or strange * 100 > len(start):
        raise BadTextError("Ce fichier n'est pas un texte : une commande numérique ne pourrait pas le lire.")
    return content


class Reading(NamedTuple):
    """What a programme says of itself. `listed`: tools of its header's comments; `called`: T words of its blocks."""

    number: str = ""
    title: str = ""
    machine: str = ""
    post_processor: str = ""
    listed: tuple[str, ...] = ()
    called: tuple[str, ...] = ()
    dialect: Dialect = ""
    lines: int = 0
    accents: bool = False


_HEADER_LINES: Final = 80
_COMMENT: Final = re.compile(r"\(([^)]*)\)?|;(.*)$")
_O_NUMBER: Final = re.compile(r"^\s*[O:](\d{1,8})\b")
_HEIDENHAIN: Final = re.compile(r"^\s*\d*\s*BEGIN PGM (\S+)", re.MULTILINE)
_TOOL_CALL: Final = re.compile(r"TOOL CALL\s+\"?([\w.\-]+)")
_SIEMENS: Final = re.compile(r"^\s*(?:%_N_|;\$PATH=)|\bMSG\s*\(|\bT\s*=\s*\"|\bCYCLE\d{2,3}\s*\(|\bDEF (?:REAL|INT)\b")
_NAMED_TOOL: Final = re.compile(r"\bT\s*=\s*\"([^\"]+)\"")
_T_WORD: Final = re.compile(r"(?<![A-Za-z_])T\s?(\d{1,8})(?![\d.])")
_LISTED_TOOL: Final = re.compile(r"(?<![A-Za-z])T\s?(\d{1,4})(?!\d)", re.IGNORECASE)
_MACHINE: Final = re.compile(r"^\W*(?:MACHINE|MC|CENTRE|TOUR CN)\s*[:=]\s*(.+)$", re.IGNORECASE)
_POST: Final = re.compile(
    r"^\W*(?:POST[- ]?PRO(?:CESSEUR|CESSOR)?|POST|PP|COMMANDE|CN|CONTROL(?:LER)?)\s*[:=]\s*(.+)$", re.IGNORECASE
)
_TITLE: Final = re.compile(r"^\W*(?:PIECE|PIÈCE|PART|TITRE|PLAN|DESIGNATION)\s*[:=]?\s*(.+)$", re.IGNORECASE)


def read(content: bytes) -> Reading:
    """What the text says of itself: number, header comments, tools."""
    lines = texts.lines_of(content)
    head = lines[:_HEADER_LINES]
    found: dict[str, str] = {}
    listed: list[str] = []
    first = ""
    for comment in (c for line in head for c in _comments(line)):
        for key, pattern in (("machine", _MACHINE), ("post_processor", _POST), ("title", _TITLE)):
            if key not in found and (match := pattern.match(comment)):
                found[key] = match[1].strip()[:120]
                break
        else:
            listed += [str(int(number)) for number in _LISTED_TOOL.findall(comment)]
            first = first or comment.strip()
    number = next((match[1] for line in head[:10] if (match := _O_NUMBER.match(line))), "")
    called, dialect = _tools(lines)
    return Reading(
        number=f"O{int(number):04d}" if number else "",
        title=(found.get("title") or first)[:120],
        machine=found.get("machine", ""),
        post_processor=found.get("post_processor", ""),
        listed=tuple(dict.fromkeys(listed)),
        called=called,
        dialect=dialect,
        lines=len(lines),
        accents=not content.isascii(),
    )


def _comments(line: str) -> list[str]:
    return [(inside or rest).strip() for inside, rest in _COMMENT.findall(line) if (inside or rest).strip()]


def _tools(lines: list[str]) -> tuple[tuple[str, ...], Dialect]:
    text = "\n".join(lines[:_HEADER_LINES])
    if _HEIDENHAIN.search(text):
        calls = (match[1] for line in lines if "TOOL CALL" in line and (match := _TOOL_CALL.search(line)))
        return tuple(dict.fromkeys(calls)), "heidenhain"
    siemens = any(_SIEMENS.search(line) for line in lines[:_HEADER_LINES])
    called: dict[str, None] = {}
    for line in lines:
        if "T" not in line:
            continue
        for name in _NAMED_TOOL.findall(line):
            called[name] = None
        bare = _COMMENT.sub("", line) if "(" in line or ";" in line else line
        for number in _T_WORD.findall(bare):
            # T0101 of a lathe: tool 01, offset 01
            tool = int(number[:-2]) if len(number) in {3, 4} else int(number)
            if tool:
                called[str(tool)] = None
    return tuple(called), "siemens" if siemens else "iso"


# Does it fit? -----------------------------------------------------------------------------------------------------

_DIALECTS: Final[dict[str, tuple[str, ...]]] = {
    "heidenhain": ("heidenhain", "tnc", "itnc"),
    "siemens": ("siemens", "sinumerik", "840d", "828d"),
}
_ISO_ONLY: Final = ("fanuc", "haas", "okuma", "osp", "mazak", "mitsubishi", "linuxcnc", "num")


def warnings(reading: Reading, *, machine: str, label: str, controller: str) -> list[str]:
    """What does not fit between a programme and a machine, in French. They warn; a person decides.

    `machine` is its code, `label` its name, `controller` its numerical control as the shop wrote it.
    """
    found = []
    if machine and reading.machine and not _alike(reading.machine, machine, label):
        found.append(f"L'en-tête dit « {reading.machine} », pas {label or machine}.")
    if controller and reading.post_processor and not _alike(reading.post_processor, controller, label, machine):
        found.append(f"Post-processeur « {reading.post_processor} » pour une commande {controller}.")
    known = _plain(controller)
    for dialect, words in _DIALECTS.items():
        if known and reading.dialect == dialect and any(word in known for word in _ISO_ONLY):
            found.append(f"Texte {dialect.capitalize()} pour une commande {controller}.")
        if dialect == "heidenhain" and reading.dialect == "iso" and any(word in known for word in words):
            found.append(f"Texte ISO pour une commande {controller} : vérifier le post-processeur.")
    if reading.listed:
        absent = [tool for tool in reading.called if tool.isdigit() and tool not in reading.listed]
        if absent:
            found.append(f"Outils appelés mais absents de la liste de l'en-tête : {_tool_words(absent)}.")
        unused = [tool for tool in reading.listed if tool not in reading.called]
        if unused and reading.called:
            found.append(f"Outils de l'en-tête jamais appelés : {_tool_words(unused)}.")
    if reading.accents:
        found.append("Lettres accentuées : certaines commandes les refusent.")
    return found


def _tool_words(tools: list[str]) -> str:
    return ", ".join(f"T{tool}" if tool.isdigit() else tool for tool in tools[:12]) + ("…" if len(tools) > 12 else "")


def _alike(said: str, *names: str) -> bool:
    """Whether what a header says and one of the names are one inside the other, letters and digits alone."""
    own = _plain(said)
    return any(plain and (plain in own or own in plain) for plain in map(_plain, names))


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.lower())
    return "".join(character for character in decomposed if character.isalnum())
