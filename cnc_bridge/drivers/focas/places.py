"""Places of a Fanuc controller: what is asked for each, and what its answer says. Pure."""

from __future__ import annotations

import struct

from cnc_bridge.drivers.focas.wire import Reply, Request, WireError, scaled
from cnc_bridge.registers import RefusedError

SYSTEM = Request(1, (1, 0x18))
STATUS = Request(1, (1, 0x19))
ALARMS = Request(1, (1, 0x1A))
_PROGRAMME, _NAME = Request(1, (1, 0x1C)), Request(1, (1, 0xB9))
_FEED, _SPEED = Request(1, (1, 0x24)), Request(1, (1, 0x25))
_AXES, _SPINDLES = Request(1, (1, 0x56), (1,)), Request(1, (1, 0x40), (0, -1))
_STATUS_WORDS = {"aut": 0, "run": 1, "emergency": 4}
_PMC = "GFYXARTKCD"
_PMC_SIZES = {"byte": 0, "word": 1, "long": 2}
ALARM_TYPES = ("SW", "PW", "IO", "PS", "OT", "OH", "SV", "SR", "MC", "SP", "DS", "IE", "BG", "SN", "", "EX")
"""By their bit in the alarm status, series 30i and 0i-F."""
_MESSAGES, _TEXT = 4, 64
_MOST_DECIMALS = 9


def request(at: str) -> Request:
    """What to ask for this place."""
    words = at.split()
    if at in _STATUS_WORDS:
        return STATUS
    fixed = {"programme": _PROGRAMME, "programme name": _NAME, "feed": _FEED, "spindle speed": _SPEED}
    if at in fixed:
        return fixed[at]
    if words[0] == "spindle":
        return _SPINDLES
    if words[0] == "axis":
        return _AXES
    if words[0] == "macro":
        return Request(1, (1, 0x15), (int(words[1]), int(words[1])))
    if words[0] == "param":
        return Request(1, (1, 0x0E), (int(words[1]), int(words[1]), 0))
    size = _PMC_SIZES[words[2] if len(words) > 2 else "byte"]
    first = int(words[1][1:])
    return Request(2, (1, 0x8001), (first, first + (1 << size) - 1, _PMC.index(words[1][0]), size))


def value(at: str, reply: Reply) -> float | int | str | None:
    """What the answer says. Raises RefusedError, also where the answer is not as described."""
    if reply.error:
        raise refused(reply.error)
    try:
        return _value(at, reply.data)
    except (WireError, struct.error, IndexError) as error:
        raise RefusedError(
            "device_failure",
            f"an answer of {len(reply.data)} bytes that is not as described ({error})",
            "réponse d'un format inconnu de ce pilote (autre série de commande ?)",
        ) from error


def _value(at: str, data: bytes) -> float | int | str | None:
    words = at.split()
    if at in _STATUS_WORDS:
        if len(data) != 14:  # older series lay their status out otherwise
            raise WireError("status of another series")
        return int.from_bytes(data[2 * _STATUS_WORDS[at] :][:2], "big")
    if at == "programme":
        number: int = struct.unpack(">ii", data[:8])[1]
        return f"O{number:04d}" if number > 0 else None
    if at == "programme name":
        return data.split(b"\0", 1)[0].decode("latin-1") or None
    if words[0] == "spindle" and words[1] == "load":
        return _meter(data, 16 * (int(words[2]) - 1 if len(words) > 2 else 0))
    if words[0] == "axis":
        return _meter(data, 8 * (int(words[2]) - 1))
    if words[0] == "param":
        return _parameter(data)
    if words[0] == "pmc":
        return int.from_bytes(data, "big") if data else None
    number_or_none = scaled(data)
    if number_or_none is not None and number_or_none.is_integer():
        return int(number_or_none)
    return number_or_none


def _meter(data: bytes, at: int) -> float:
    mantissa, decimals = struct.unpack(">i2xH", data[at : at + 8])
    if decimals > _MOST_DECIMALS:
        raise WireError(f"{decimals} decimals")
    return float(mantissa / 10**decimals)


def _parameter(data: bytes) -> int:
    """Number (4), axis (2), type (2: 0 bit, 1 byte, 2 word, 3 two words), then its first value (4)."""
    kind, raw = struct.unpack(">6xH4s", data[:12])
    if kind not in (0, 1, 2, 3):
        raise WireError(f"parameter of type {kind}")
    width = (1, 1, 2, 4)[kind]
    return int.from_bytes(raw[-width:], "big", signed=kind >= 2)


def messages_of(bit: int) -> Request:
    """The alarms of one type, with their texts."""
    return Request(1, (1, 0x23), (bit, _MESSAGES, 2, _TEXT))


def messages(bit: int, reply: Reply) -> list[tuple[str, str]]:
    """(number as the screen shows it, text) of the alarms of this type; without details its type alone."""
    kind = ALARM_TYPES[bit] if bit < len(ALARM_TYPES) else f"type {bit}"
    found = []
    size = 16 + _TEXT
    for at in range(0, len(reply.data) - 15 if reply.error == 0 else 0, size):
        number, _, _, length = struct.unpack(">4i", reply.data[at : at + 16])
        text = reply.data[at + 16 : at + 16 + max(0, min(length, _TEXT))]
        found.append((f"{kind}{number:04d}", text.split(b"\0", 1)[0].decode("latin-1").strip()))
    return found or [(kind, "")]


def refused(code: int) -> RefusedError:
    """FOCAS error codes as parts of sentences."""
    known = {
        1: ("illegal_function", "function not implemented", "cette commande n'a pas cette fonction (EW_FUNC)"),
        2: ("illegal_value", "wrong length", "longueur refusée (EW_LENGTH)"),
        3: ("illegal_address", "no such number", "ce numéro n'existe pas sur cette commande (EW_NUMBER)"),
        4: ("illegal_value", "wrong attribute", "attribut refusé (EW_ATTRIB)"),
        5: ("illegal_value", "wrong data", "donnée refusée (EW_DATA)"),
        6: ("no_access", "option missing", "option non installée sur cette commande (EW_NOOPT)"),
        7: ("no_access", "protected", "lecture protégée sur cette commande (EW_PROT)"),
        9: ("no_access", "parameter setting", "un paramètre de la commande l'interdit (EW_PARAM)"),
        12: ("no_access", "wrong mode", "impossible dans ce mode de la commande (EW_MODE)"),
        13: ("no_access", "rejected", "refusé par la commande (EW_REJECT)"),
        -1: ("device_failure", "busy", "commande occupée (EW_BUSY)"),
    }
    return RefusedError(*known.get(code, ("device_failure", f"error {code}", f"erreur {code} de la commande")))
