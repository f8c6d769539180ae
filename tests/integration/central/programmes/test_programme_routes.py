"""``/api/programmes`` and the upload form over a real HTTP server: texts by hash, sentences instead of failures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.programmes import MAX_BYTES
from tests.support.process import CentreProcess

TEXT = b"O1234(BRIDE)\nN10 G0 X10.\nM30\n"
PAGE = {"HX-Request": "true"}
METHODS = {"by": "p-7k3f", "role": "methodes"}


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CentreProcess]:
    folder: Path = tmp_path_factory.mktemp("centre")
    with CentreProcess(f"sqlite:///{folder / 'copeau.db'}", folder) as running:
        yield running


def put(centre: CentreProcess, content: Any, digest: str) -> int:
    return httpx.put(f"{centre.url}/api/programmes/blobs/{digest}", content=content, timeout=60).status_code


def uploaded(centre: CentreProcess, content: bytes, address: str = "/programmes", **fields: str) -> httpx.Response:
    files = {"fichier": ("bride.nc", content)}
    return httpx.post(f"{centre.url}{address}", files=files, data=fields, headers=PAGE, timeout=120)


def test_a_text_is_brought_once_and_given_by_its_hash(centre: CentreProcess) -> None:
    digest = hashlib.sha256(TEXT).hexdigest()
    address = f"{centre.url}/api/programmes/blobs/{digest}"
    assert httpx.get(address).status_code == 404
    assert [put(centre, TEXT, digest), put(centre, TEXT, digest)] == [201, 201]
    assert httpx.get(address).content == TEXT


def test_a_text_that_is_not_what_it_says_or_too_large_is_not_kept(centre: CentreProcess) -> None:
    digest = hashlib.sha256(b"something else").hexdigest()
    assert put(centre, TEXT, digest) == 422
    assert put(centre, b"x", "../../etc/passwd") in {404, 405}
    assert put(centre, b"x", "ABC") == 422
    large = iter([b"x" * 2**20] * (MAX_BYTES // 2**20 + 1))
    assert put(centre, large, digest) == 413
    assert httpx.get(f"{centre.url}/api/programmes/blobs/{digest}").status_code == 404


def test_an_upload_of_600_mb_is_refused_with_a_sentence_and_costs_no_memory(centre: CentreProcess) -> None:
    assert centre.process is not None
    status = Path(f"/proc/{centre.process.pid}/status")

    def peak_mb() -> int:
        return (
            next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) // 1024
        )

    before = peak_mb()
    size = 600 * 2**20
    piece = b"G1 X1.25 Y3.75\n" * 70_000

    def body() -> Iterator[bytes]:
        left = size
        while left > 0:
            yield piece[:left]
            left -= len(piece)

    headers = PAGE | {"Content-Length": str(size), "Content-Type": "multipart/form-data; boundary=x"}
    reply = httpx.post(f"{centre.url}/programmes", content=body(), headers=headers, timeout=120)
    assert reply.status_code == 200
    assert "trop gros : un programme fait 64" in reply.text.replace("\N{NO-BREAK SPACE}", " ")
    assert peak_mb() - before < 64


def test_versions_rights_and_refusals_over_http(centre: CentreProcess) -> None:
    reply = uploaded(centre, TEXT, name="O4321")
    address = reply.headers["HX-Redirect"]
    number = address.rpartition("/")[2]
    (version,) = httpx.get(f"{centre.url}/api/programmes/{number}").json()
    assert (version["status"], version["sha256"]) == ("draft", hashlib.sha256(TEXT).hexdigest())

    def act(what: str, **by: str) -> httpx.Response:
        return httpx.post(f"{centre.url}/api/programmes/versions/{version['id']}/{what}", json=METHODS | by)

    assert act("submit", role="operateur").status_code == 403
    assert act("submit", role="programmeur").status_code == 204
    refused = act("validate", role="programmeur")
    assert (refused.status_code, refused.json()["detail"]) == (403, "La validation est réservée aux méthodes.")
    assert act("validate").status_code == 204
    assert act("validate").status_code == 422
    assert act("burn").status_code == 422

    scan = httpx.get(f"{centre.url}/api/programmes/{number}/scan").json()
    assert (scan["version"], scan["refusal"], scan["choices"]) == (1, "", [])
    load = httpx.post(f"{centre.url}/api/programmes/{number}/load", json={"machine": "tour-9", "person": "p"})
    assert (load.status_code, load.json()["detail"]) == (404, "Machine inconnue : tour-9")
    assert httpx.get(f"{centre.url}/api/programmes/999/scan").status_code == 404
    assert httpx.get(f"{centre.url}/api/programmes/transfers/nothing").status_code == 404

    same = uploaded(centre, TEXT, f"{address}/versions")
    assert "octet pour octet" in same.text
    assert "nom de programme" in uploaded(centre, TEXT, name="../../x").text
    assert "Aucun fichier" in httpx.post(
        f"{centre.url}/programmes", files={"autre": ("a", b"b")}, headers=PAGE
    ).text  # fmt: skip
    given = httpx.get(f"{centre.url}{address}/versions/1/fichier")
    assert given.content == TEXT
    assert given.headers["Content-Disposition"] == "attachment; filename*=UTF-8''O4321-v1.nc"
    assert httpx.get(f"{centre.url}{address}/versions/7").status_code == 404
    assert httpx.post(f"{centre.url}/programmes", files={"fichier": ("a.nc", TEXT)}).status_code == 403
