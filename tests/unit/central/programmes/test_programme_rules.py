"""Statuses, rights, what is a programme's text, and what its header says that does not fit."""

from __future__ import annotations

import gzip
import io
import itertools
import zipfile

import pytest

from central.programmes import rules
from central.programmes.rules import ACTS, BadTextError, NotYoursError, Reading, Role, Status

FANUC = b"""%
O1234(BRIDE PALIER)
(MACHINE: TOUR 1)
(POST: FANUC)
(T1 EBAUCHE CNMG)
(T3 FINITION DCMT)
N10 T0101 M6
N20 G1 X10. Z-5. F0.2
N30 T0303
N40 G0 X100.
M30
%
"""
STATUSES: tuple[Status, ...] = ("draft", "to_validate", "validated", "obsolete")
ROLES: tuple[Role, ...] = ("methodes", "programmeur", "regleur", "operateur")


def test_the_way_of_a_version() -> None:
    assert rules.judged("draft", "submit", "programmeur") == "to_validate"
    assert rules.judged("to_validate", "validate", "methodes") == "validated"
    assert rules.judged("to_validate", "send_back", "methodes") == "draft"
    assert rules.judged("validated", "withdraw", "methodes") == "obsolete"


def test_only_methodes_and_programmers_change_and_only_methodes_validate() -> None:
    for act, status, role in itertools.product(ACTS, STATUSES, ROLES):
        allowed = act in rules.acts_of(status, role)
        if role in {"regleur", "operateur"} or (act == "validate" and role != "methodes"):
            assert not allowed
            with pytest.raises(NotYoursError):
                rules.judged(status, act, role)
        elif not allowed:
            with pytest.raises(ValueError, match="recharger"):
                rules.judged(status, act, role)
        else:
            rules.judged(status, act, role)


def test_an_obsolete_version_stays_so() -> None:
    assert rules.acts_of("obsolete", "methodes") == []


def test_no_draft_becomes_valid_without_being_submitted() -> None:
    assert "validate" not in rules.acts_of("draft", "methodes")


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("O1234.nc", FANUC)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "vide"),
        (b"%\r\n%\r\n\x00", "vide"),
        (b" \r\n \t", "vide"),
        (archive(), "zip"),
        (gzip.compress(FANUC), "gzip"),
        (b"%PDF-1.7 ...", "PDF"),
        (FANUC.decode().encode("utf-16"), "UTF-16"),
        (FANUC.decode().encode("utf-16-le"), "pas un texte"),
        (bytes(range(256)) * 40, "pas un texte"),
        (b"G0 X1\x00\x00G1", "pas un texte"),
    ],
)
def test_what_is_no_programme_is_refused_with_its_reason(content: bytes, said: str) -> None:
    with pytest.raises(BadTextError, match=said):
        rules.checked_text(content)


def test_what_a_serial_line_adds_is_text_and_a_byte_order_mark_goes() -> None:
    tape = b"\x00\x00\x12" + FANUC + b"\x14\x00\x00\x1a"
    assert rules.checked_text(tape) == tape
    assert rules.checked_text(b"\xef\xbb\xbf" + FANUC) == FANUC
    assert rules.checked_text("(PIÈCE)\nG0".encode("cp1252"))


def test_a_header_is_read() -> None:
    found = rules.read(FANUC)
    assert (found.number, found.title, found.machine, found.post_processor) == (
        "O1234", "BRIDE PALIER", "TOUR 1", "FANUC",
    )  # fmt: skip
    assert (found.listed, found.called, found.dialect) == (("1", "3"), ("1", "3"), "iso")
    assert not found.accents


def test_tools_in_comments_are_not_called() -> None:
    found = rules.read(b"O1\n(T9 RESERVE)\nT1 M6 (T5 PLUS TARD)\nG0 X1 ; T7\nPART2\n")
    assert found.called == ("1",)


def test_other_dialects() -> None:
    heidenhain = rules.read(b"0 BEGIN PGM BRIDE MM\n1 BLK FORM 0.1 Z\n2 TOOL CALL 12 Z S3000\n3 L X+1\n")
    assert (heidenhain.dialect, heidenhain.called) == ("heidenhain", ("12",))
    siemens = rules.read(b'; MACHINE: UGV\nT="FRAISE_12"\nM6\nG0 X1\n')
    assert (siemens.dialect, siemens.called, siemens.machine) == ("siemens", ("FRAISE_12",), "UGV")


def warnings(reading: Reading, **about: str) -> str:
    return " ".join(rules.warnings(reading, **({"machine": "tour-1", "label": "Tour 1", "controller": ""} | about)))


def test_what_fits_says_nothing() -> None:
    assert warnings(rules.read(FANUC), controller="Fanuc 0i-TF") == ""


@pytest.mark.parametrize(
    ("text", "about", "said"),
    [
        (FANUC, {"machine": "cu-2", "label": "Centre d'usinage 2"}, "L'en-tête dit « TOUR 1 »"),
        (FANUC, {"controller": "OSP-P300"}, "Post-processeur « FANUC » pour une commande OSP-P300"),
        (FANUC.replace(b"(T3 FINITION DCMT)\n", b""), {}, "absents de la liste de l'en-tête : T3"),
        (FANUC.replace(b"N30 T0303\n", b""), {}, "jamais appelés : T3"),
        (b"0 BEGIN PGM A MM\n1 TOOL CALL 1 Z\n", {"controller": "Fanuc 31i"}, "Texte Heidenhain"),
        (b"O1\nT1 M6\nM30\n", {"controller": "Heidenhain TNC 640"}, "Texte ISO"),
        ("(PIÈCE É)\nG0 X1\n".encode(), {}, "accentuées"),
    ],
)
def test_what_does_not_fit_is_flagged(text: bytes, about: dict[str, str], said: str) -> None:
    assert said in warnings(rules.read(text), **about)


def test_without_a_list_of_tools_nothing_is_absent() -> None:
    assert warnings(rules.read(b"O1\nT1 M6\nT2 M6\nM30\n")) == ""
