"""Programmes over a real database and real files: versions, statuses, sendings, texts that come back."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from central.alerts import service as alerts
from central.audit import service as audit
from central.core.settings import Settings
from central.core.uow import Outgoing, Units
from central.machines import service as machines
from central.programmes import consumers, service, transfers
from central.programmes.rules import Act, NotYoursError
from central.programmes.service import Actor
from central.programmes.texts import OtherTextError, Texts, TooLargeError
from central.programmes.transfers import RefusedError, TransferView
from contracts.control import ReadProgramme, SendProgramme
from contracts.facts import AgentAnswered, MachineStateChanged, ProgrammeTransferred
from contracts.programmes import MAX_BYTES
from tests.integration.central.work.harness import Shop, at, open_shop

TEXT = b"O1234(BRIDE)\nN10 G0 X10.\nN20 G1 Z-5. F0.2\nM30\n"
CHANGED = TEXT.replace(b"F0.2", b"F0.15")
METHODS = Actor("p-7k3f", "methodes")
PROGRAMMER = Actor("p-9m2x", "programmeur")


class Books(Shop):
    """The shop with programmes wired in; `folder` is where its texts lie."""

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url)
        consumers.register(self.consumers)
        settings = SettingsIn(folder, _env_file=None, database_url=url)
        self.units = Units(self.database, settings, self.clock)
        self.texts = Texts(settings)

    async def machine(self, state: str = "ready", code: str = "tour-1") -> None:
        self.clock.moment = max(self.clock.moment, at(0))
        await self.say(self.fact(0, MachineStateChanged(machine=code, state=state)))  # type: ignore[arg-type]  # a word

    async def programme(self, text: bytes = TEXT, *, machine: str | None = "tour-1") -> int:
        stored = await service.store(self.units.settings, text, "C:\\FAO\\bride.nc")
        async with self.units.begin() as uow:
            if machine is not None and await machines.machine(uow, machine) is None:
                await machines.add_machine(uow, machine, "Tour 1", controller="Fanuc 0i", post="poste-t1")
            return await service.add_programme(uow, PROGRAMMER, stored, machine=machine)

    async def version(self, programme: int, text: bytes) -> int:
        stored = await service.store(self.units.settings, text)
        async with self.units.begin() as uow:
            return await service.add_version(uow, PROGRAMMER, programme, stored)

    async def act(self, programme: int, number: int, *acts: Act, actor: Actor = METHODS) -> None:
        for what in acts:
            async with self.units.begin() as uow:
                version = await service.version(uow, programme, number)
                await service.act(uow, actor, version.id, what)

    async def valid(self, programme: int, number: int = 1) -> None:
        await self.act(programme, number, "submit", "validate")

    async def load(self, programme: int, machine: str = "tour-1") -> str:
        async with self.units.begin() as uow:
            return await transfers.load(uow, programme, machine, person="p-op")

    async def statuses(self, programme: int) -> list[tuple[int, str, str]]:
        async with self.units.reading() as uow:
            return [(v.number, v.status, v.origin) for v in await service.versions(uow, programme)]

    async def transfer(self, transfer_id: str) -> TransferView:
        async with self.units.reading() as uow:
            found = await transfers.transfer(uow, transfer_id)
        assert found is not None
        return found

    async def commands(self) -> list[tuple[str, Any]]:
        forms = {"programme-send": SendProgramme, "programme-read": ReadProgramme}
        async with self.units.reading() as uow:
            rows = (
                await uow.session.execute(
                    select(Outgoing.topic, Outgoing.payload).where(Outgoing.channel == "mqtt").order_by(Outgoing.id)
                )
            ).all()
        named = [(row.topic.rpartition("/")[2], row.payload) for row in rows]
        return [(name, msgspec.json.decode(payload, type=forms[name])) for name, payload in named if name in forms]

    async def told(self, minutes: float, event: str, **fields: Any) -> None:
        body = ProgrammeTransferred(machine="tour-1", name="O1234", event=event, **fields)  # type: ignore[arg-type]
        await self.say(self.fact(minutes, body))

    async def brought(self, minutes: float, text: bytes, event: str = "changed", **fields: Any) -> None:
        digest = await self.texts.put(text)
        await self.told(minutes, event, sha256=digest, size=len(text), **fields)

    async def alert_keys(self) -> list[tuple[str, str]]:
        async with self.units.reading() as uow:
            return [(one.key, one.level) for one in await alerts.open_alerts(uow)]


class SettingsIn(Settings):
    """Settings whose files lie in a folder of the test, also beside PostgreSQL."""

    def __init__(self, folder: Path, **values: Any) -> None:
        super().__init__(**values)
        self._folder = folder

    _folder: Path

    @property
    def data_dir(self) -> Path:
        return self._folder


@asynccontextmanager
async def opened(url: str, folder: Path) -> AsyncIterator[Books]:
    async with open_shop(url):  # its tables
        books = Books(url, folder)
        try:
            yield books
        finally:
            await books.database.close()


@pytest.fixture
async def books(database_url: str, tmp_path: Path) -> AsyncIterator[Books]:
    async with opened(database_url, tmp_path / "data") as opened_books:
        yield opened_books


async def test_a_programme_from_upload_to_valid(books: Books) -> None:
    programme = await books.programme()
    assert await books.statuses(programme) == [(1, "draft", "upload")]
    async with books.units.reading() as uow:
        view = await service.programme(uow, programme)
        assert (view.name, view.label, view.machine_label) == ("O1234", "BRIDE", "Tour 1")
        assert view.code.startswith(f"PROG:{programme}:")
        assert view.valid is None
    await books.valid(programme)
    assert await books.version(programme, CHANGED) == 2
    await books.valid(programme, 2)
    assert await books.statuses(programme) == [(2, "validated", "upload"), (1, "obsolete", "upload")]
    async with books.units.reading() as uow:
        acts = [entry.what for entry in await audit.entries(uow, subject=f"programme:{programme}")]
        version = await service.version(uow, programme, 2)
    assert sorted(acts) == sorted(
        ["programmes.add", "programmes.version"] + ["programmes.submit", "programmes.validate"] * 2
    )
    assert version.sha256 == hashlib.sha256(CHANGED).hexdigest()
    assert await books.texts.get(version.sha256) == CHANGED


async def test_rights_are_judged_and_nothing_is_written_when_they_lack(books: Books) -> None:
    programme = await books.programme()
    await books.act(programme, 1, "submit", actor=PROGRAMMER)
    for actor in (PROGRAMMER, Actor("p-op", "operateur"), Actor("p-reg", "regleur")):
        with pytest.raises(NotYoursError):
            await books.act(programme, 1, "validate", actor=actor)
    stored = await service.store(books.units.settings, CHANGED)
    with pytest.raises(NotYoursError):
        async with books.units.begin() as uow:
            await service.add_version(uow, Actor("p-op", "operateur"), programme, stored)
    assert await books.statuses(programme) == [(1, "to_validate", "upload")]


async def test_the_same_text_is_stored_once_and_no_version_of_itself(books: Books) -> None:
    programme = await books.programme()
    other = await books.programme(machine=None)
    with pytest.raises(ValueError, match="version 1, octet pour octet"):
        await books.version(programme, TEXT)
    digest = hashlib.sha256(TEXT).hexdigest()
    files = [file for file in (books.units.settings.data_dir / "programmes").rglob("*") if file.is_file()]
    assert [file.name for file in files] == [digest]
    assert programme != other
    with pytest.raises(ValueError, match="existe déjà"):
        await books.programme()


async def test_a_missing_or_damaged_text_is_said_not_given(books: Books) -> None:
    programme = await books.programme()
    file = books.texts.file(hashlib.sha256(TEXT).hexdigest())
    file.chmod(0o644)
    file.write_bytes(TEXT + b"X")
    with pytest.raises(LookupError, match="abîmé"):
        await books.texts.get(file.name)
    file.unlink()
    await books.act(programme, 1, "submit")
    with pytest.raises(LookupError, match="manque"):
        await books.act(programme, 1, "validate")


async def test_loading_is_asked_at_least_once_and_its_outcome_shown(books: Books) -> None:
    programme = await books.programme()
    await books.machine()
    await books.valid(programme)
    transfer = await books.load(programme)
    ((name, command),) = await books.commands()
    assert (name, command.id, command.machine, command.name) == ("programme-send", transfer, "tour-1", "O1234")
    assert command.path == f"/api/programmes/blobs/{command.sha256}"
    assert (command.size, command.expires) == (len(TEXT), books.clock.moment + timedelta(minutes=5))
    assert (await books.transfer(transfer)).state == "asked"

    books.clock.moment += timedelta(seconds=25)
    await books.machine()
    async with books.units.begin() as uow:
        await transfers.chase(uow)
    assert [command.id for _, command in await books.commands()] == [transfer, transfer]

    await books.told(1, "sent", sha256=command.sha256, same=True, command=transfer, detail="Relu identique.")
    done = AgentAnswered(command="programme-send", id=transfer, done=True, detail="autre phrase")
    await books.say(books.fact(1, done))
    view = await books.transfer(transfer)
    assert (view.state, view.detail, view.version) == ("done", "Relu identique.", 1)
    books.clock.moment += timedelta(minutes=10)
    async with books.units.begin() as uow:
        await transfers.chase(uow)
    assert (await books.transfer(transfer)).state == "done"
    assert len(await books.commands()) == 2


async def test_no_answer_expires_and_a_late_one_is_still_told(books: Books) -> None:
    programme = await books.programme()
    await books.machine()
    await books.valid(programme)
    transfer = await books.load(programme)
    books.clock.moment += timedelta(minutes=6)
    async with books.units.begin() as uow:
        await transfers.chase(uow)
    assert (await books.transfer(transfer)).state == "expired"
    await books.say(
        books.fact(7, AgentAnswered(command="programme-send", id=transfer, done=False, detail="Trop tard."))
    )
    view = await books.transfer(transfer)
    assert (view.state, view.detail) == ("refused", "Trop tard.")


async def test_what_is_not_valid_or_a_machine_that_runs_is_refused(books: Books) -> None:
    programme = await books.programme()
    await books.machine()
    with pytest.raises(RefusedError, match=r"Pas validé\. La dernière version est un brouillon"):
        await books.load(programme)
    await books.valid(programme)
    async with books.units.begin() as uow:
        await machines.add_machine(uow, "cu-2", "Centre 2")
    with pytest.raises(RefusedError, match="fait pour Tour 1"):
        await books.load(programme, "cu-2")
    books.clock.moment = at(1)
    await books.say(books.fact(1, MachineStateChanged(machine="tour-1", state="running")))
    with pytest.raises(RefusedError, match="tourne"):
        await books.load(programme)
    books.clock.moment = at(30)
    with pytest.raises(RefusedError, match="sans nouvelles"):
        await books.load(programme)
    assert await books.commands() == []
    await books.act(programme, 1, "withdraw")
    with pytest.raises(RefusedError, match="obsolète"):
        await books.load(programme)


async def test_a_scan_shows_the_machine_of_the_programme_or_of_the_post(books: Books) -> None:
    programme = await books.programme()
    free = await books.programme(CHANGED, machine=None)
    await books.machine()
    async with books.units.begin() as uow:
        await machines.add_machine(uow, "cu-2", "Centre 2", post="poste-cu2")
    await books.valid(free)
    async with books.units.reading() as uow:
        own = await transfers.scanned(uow, programme, "poste-cu2")
        assert (own.machine, [choice.code for choice in own.choices]) == ("tour-1", ["tour-1"])
        assert (own.version, own.status) == (None, "draft")
        assert "Pas validé" in own.refusal
        by_post = await transfers.scanned(uow, free, "poste-cu2")
        assert (by_post.machine, by_post.version, by_post.refusal) == ("cu-2", 1, "")
        asked = await transfers.scanned(uow, free, "poste-x")
    assert asked.machine is None
    assert {choice.code: choice.refusal for choice in asked.choices} == {
        "tour-1": "", "cu-2": "Cette machine n'est pas raccordée.",
    }  # fmt: skip


async def test_a_programme_changed_at_the_machine_is_a_new_draft(books: Books) -> None:
    programme = await books.programme()
    await books.machine()
    await books.valid(programme)
    transfer = await books.load(programme)
    await books.told(1, "sent", same=True, command=transfer)
    await books.brought(2, b"%\r\n" + CHANGED.replace(b"\n", b"\r\n") + b"%\r\n", detail="Changé.")
    assert await books.statuses(programme) == [(2, "draft", "machine"), (1, "validated", "upload")]
    async with books.units.reading() as uow:
        draft, valid = await service.versions(uow, programme)
        assert draft.comment == "Changé à la machine Tour 1. 1 ligne changée."
        found = await service.compared(books.units.settings, valid, draft)
    changed = [row for row in found.rows if row.change == "changed"]
    assert [(row.left_text, row.right_text) for row in changed] == [("N20 G1 Z-5. F0.2", "N20 G1 Z-5. F0.15")]
    assert await books.alert_keys() == [("programme-changed:tour-1:O1234", "medium")]
    await books.told(3, "sent", same=True, command=await books.load(programme))
    assert await books.alert_keys() == []


async def test_what_says_the_same_is_no_new_version(books: Books) -> None:
    programme = await books.programme()
    await books.machine()
    await books.valid(programme)
    await books.brought(2, b"%\r\n" + TEXT.replace(b"\n", b"\r\n") + b"%\r\n", "read", command="r1")
    await books.brought(3, TEXT, "read")
    await books.brought(4, CHANGED)
    await books.brought(5, CHANGED)
    assert [number for number, _, _ in await books.statuses(programme)] == [2, 1]


async def test_an_unknown_programme_of_a_machine_is_adopted(books: Books) -> None:
    await books.brought(1, TEXT, "read")
    async with books.units.reading() as uow:
        (view,) = await service.programmes(uow)
    assert (view.name, view.machine, view.label, view.versions) == ("O1234", "tour-1", "BRIDE", 1)


async def test_a_text_that_never_arrived_does_not_lose_the_fact(books: Books) -> None:
    programme = await books.programme()
    await books.told(1, "changed", sha256="0" * 64, detail="Changé.")
    await books.told(2, "changed", detail="« O1234 » n'est plus dans la machine.")
    assert await books.statuses(programme) == [(1, "draft", "upload")]
    async with books.units.reading() as uow:
        said = [one.detail for one in await transfers.transfers(uow, programme)]
    assert said[0] == "« O1234 » n'est plus dans la machine."
    assert "n'a pas pu être repris" in said[1]


async def test_half_a_programme_is_a_critical_alert_until_it_is_whole(books: Books) -> None:
    programme = await books.programme()
    await books.machine()
    await books.valid(programme)
    transfer = await books.load(programme)
    await books.told(1, "sent", same=False, command=transfer, detail="L'envoi a été coupé.")
    assert (await books.transfer(transfer)).state == "broken"
    assert await books.alert_keys() == [("programme-half:tour-1:O1234", "critical")]
    await books.told(2, "refused", command="autre", detail="La machine tourne.")
    assert len(await books.alert_keys()) == 1, "a refusal heals nothing"
    await books.told(3, "refused", same=False, command=transfer, detail="L'ancien texte est remis.")
    assert await books.alert_keys() == []
    assert (await books.transfer(transfer)).state == "refused"
    await books.told(2.5, "sent", same=False, command=transfer, detail="arrivé en retard")
    assert (await books.transfer(transfer)).state == "refused"
    assert await books.alert_keys() == [], "what came late is over"


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_what_a_machine_told_of_a_sending_reads_the_same_in_any_order(
    books: Books, order: tuple[int, ...]
) -> None:
    """Also by a centre that was restored and does not know what it asked."""
    facts = [
        (1, ProgrammeTransferred(machine="tour-1", name="O1234", event="changed", detail="Changé.")),
        (2, ProgrammeTransferred(machine="tour-1", name="O1234", event="sent", same=True, command="c1", detail="Bon.")),
        (3, ProgrammeTransferred(machine="tour-1", name="O1234", event="sent", same=False, command="c2", detail="½")),
        (4, ProgrammeTransferred(machine="tour-1", name="O1234", event="refused", command="c2", detail="Elle tourne.")),
    ]
    books.clock.moment = at(5)
    for index in order:
        minutes, body = facts[index]
        await books.say(books.fact(minutes, body))
    assert await books.alert_keys() == [("programme-half:tour-1:O1234", "critical")]
    assert [(await books.transfer(one)).state for one in ("c1", "c2")] == ["done", "refused"]


async def test_an_answer_never_says_more_than_was_read_back(books: Books) -> None:
    programme = await books.programme()
    await books.machine()
    await books.valid(programme)
    transfer = await books.load(programme)
    answer = AgentAnswered(command="programme-send", id=transfer, done=True, detail="Parti.")
    await books.say(books.fact(1.1, answer))
    assert (await books.transfer(transfer)).state == "unread"
    await books.told(1, "sent", same=False, command=transfer, detail="La moitié.")
    view = await books.transfer(transfer)
    assert (view.state, view.detail) == ("broken", "La moitié.")


async def test_a_change_that_was_taken_over_calls_nobody_any_more(books: Books) -> None:
    programme = await books.programme()
    await books.machine()
    await books.valid(programme)
    await books.brought(2, CHANGED)
    assert await books.alert_keys() == [("programme-changed:tour-1:O1234", "medium")]
    await books.act(programme, 2, "submit")
    assert len(await books.alert_keys()) == 1
    await books.act(programme, 2, "validate")
    assert await books.alert_keys() == []


async def test_a_very_long_name_still_has_its_alert(books: Books) -> None:
    name = "N" * 255
    body = ProgrammeTransferred(machine="m" * 120, name=name, event="sent", same=False, detail="½")
    await books.say(books.fact(1, body))
    [(key, level)] = await books.alert_keys()
    assert (len(key) < 300, level) == (True, "critical")
    await books.say(books.fact(2, msgspec.structs.replace(body, same=True)))
    assert await books.alert_keys() == []
    digest = await books.texts.put(TEXT)
    came = msgspec.structs.replace(body, event="read", same=None, sha256=digest, size=len(TEXT))
    await books.say(books.fact(3, came))
    async with books.units.reading() as uow:
        [view] = await service.programmes(uow)
    assert view.name == name


async def test_texts_are_whole_or_absent(books: Books) -> None:
    async def pieces(*given: bytes) -> AsyncIterator[bytes]:
        for piece in given:
            yield piece

    digest = hashlib.sha256(b"G0 X1").hexdigest()
    with pytest.raises(OtherTextError):
        await books.texts.put_stream(pieces(b"G0 ", b"X2"), digest)
    with pytest.raises(TooLargeError):
        await books.texts.put_stream(pieces(b"x" * (MAX_BYTES // 2), b"x" * (MAX_BYTES // 2 + 1)))
    assert not books.texts.has(digest)
    assert await books.texts.put_stream(pieces(b"G0 ", b"X1"), digest) == digest
    assert not any((books.units.settings.data_dir / "programmes").rglob("*.part"))
    with pytest.raises(ValueError, match="SHA"):
        books.texts.file("../../etc/passwd")


async def test_a_text_that_no_version_names_goes_after_a_month(books: Books) -> None:
    await books.programme()
    orphan = await books.texts.put(b"G0 X99")
    books.clock.moment = datetime.now(UTC) + timedelta(days=29)
    async with books.units.begin() as uow:
        await service.forget_orphans(uow)
    assert books.texts.has(orphan)
    books.clock.moment += timedelta(days=2)
    async with books.units.begin() as uow:
        await service.forget_orphans(uow)
    assert not books.texts.has(orphan)
    assert books.texts.has(hashlib.sha256(TEXT).hexdigest())


async def test_reading_back_is_asked_by_those_who_may(books: Books) -> None:
    await books.programme()
    await books.machine()
    with pytest.raises(NotYoursError):
        async with books.units.begin() as uow:
            await transfers.read_back(uow, Actor("p-op", "operateur"), "tour-1")
    async with books.units.begin() as uow:
        transfer = await transfers.read_back(uow, METHODS, "tour-1", "O1234")
    ((name, command),) = await books.commands()
    assert (name, command.name, command.path) == ("programme-read", "O1234", "/api/programmes/blobs")
    await books.say(books.fact(1, AgentAnswered(command="programme-read", id=transfer, done=True, detail="1 lu.")))
    assert (await books.transfer(transfer)).state == "done"


async def test_a_long_text_that_comes_back_does_not_hold_up_the_facts(books: Books) -> None:
    """Of megabytes only the head is read and nothing compared inside the inbox's transaction."""
    block = b"".join(b"N%d G1 X%d.5\n" % (n, n) for n in range(1000))
    programme = await books.programme(TEXT + block * 200)
    await books.brought(1, TEXT + block * 200 + b"T9 M6\n")
    async with books.units.reading() as uow:
        draft, _ = await service.versions(uow, programme)
    assert draft.comment == "Changé à la machine Tour 1."
    assert draft.reading.lines == 200_005
