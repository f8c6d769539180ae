"""``copeau central`` as users start it: two on one database, killed, stopped while pages listen."""

from __future__ import annotations

from pathlib import Path

import httpx
import msgspec

from contracts.envelope import Envelope, encode_pack
from tests.support.facts import Source
from tests.support.process import CentreProcess


def post(centre: CentreProcess, *facts: Envelope) -> dict[str, object]:
    reply = httpx.post(f"{centre.url}/api/facts", content=encode_pack(list(facts)), timeout=30)
    assert reply.status_code == 200, reply.text
    body: dict[str, object] = reply.json()
    return body


def test_a_second_centre_on_the_same_database_refuses_and_says_why(database_url: str, tmp_path: Path) -> None:
    with CentreProcess(database_url, tmp_path):
        second = CentreProcess(database_url, tmp_path).start(wait=False)
        assert second.process is not None
        assert second.process.wait(60) == 2
        assert "another Copeau centre already runs on" in second.log.read_text()


def test_killed_and_started_again_it_knows_what_it_had_acknowledged(database_url: str, tmp_path: Path) -> None:
    source = Source("poste-1")
    facts = [source.fact() for _ in range(10)]
    with CentreProcess(database_url, tmp_path) as centre:
        assert post(centre, *facts[:6])["acks"] == [{"boot": "boot0001", "stream": "facts", "upto": 6}]
        centre.kill()
        centre.start()
        acks = httpx.get(f"{centre.url}/api/facts/poste-1/boot0001").json()["acks"]
        assert acks == [
            {"boot": "boot0001", "stream": "facts", "upto": 6},
            {"boot": "boot0001", "stream": "samples", "upto": 0},
        ]
        assert post(centre, *facts)["acks"] == [{"boot": "boot0001", "stream": "facts", "upto": 10}]


def test_it_stops_although_a_page_listens(sqlite_url: str, tmp_path: Path) -> None:
    with (
        CentreProcess(sqlite_url, tmp_path) as centre,
        httpx.stream("GET", f"{centre.url}/api/live", timeout=30) as page,
    ):
        lines = page.iter_lines()
        assert next(lines) == "retry: 1000"
        assert centre.stop() == 0


def test_too_big_is_refused_with_a_sentence_and_kept_nowhere(sqlite_url: str, tmp_path: Path) -> None:
    with CentreProcess(sqlite_url, tmp_path) as centre:
        reply = httpx.post(f"{centre.url}/api/facts", content=b"x" * 600_000)
        assert reply.status_code == 413
        assert "trop gros" in reply.json()["detail"]


def test_bad_facts_of_a_terminal_are_kept_and_counted(sqlite_url: str, tmp_path: Path) -> None:
    source = Source("poste-1")
    bad = source.fact(raw=b'{"machine":3}')
    with CentreProcess(sqlite_url, tmp_path) as centre:
        answer = post(centre, bad, source.fact())
        assert (answer["acks"], answer["quarantined"]) == ([{"boot": "boot0001", "stream": "facts", "upto": 2}], 1)
        illegible = httpx.post(f"{centre.url}/api/facts", content=b'{"seq":').json()
        assert (illegible["acks"], illegible["quarantined"]) == ([], 1)
        assert msgspec.json.decode(b"[]") == []
