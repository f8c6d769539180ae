"""Signing at a centre with accounts: asked again who one is, in that very request; what changes afterwards is told."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import httpx
import pyotp
import pytest
from sqlalchemy import select

from central.audit import service as audit
from central.audit.service import Search
from central.core.uow import UnitOfWork
from central.people import own, standing
from central.people.account_models import Account, SignIn
from central.signing import service as signing
from central.signing.models import Signature
from central.signing.verifying import check
from central.work import service as work
from tests.support.access import House, house
from tests.support.authenticator import Authenticator

PASSWORD = "le tour chante quand il pleut"
BEGUN = datetime.now(UTC) - timedelta(hours=3)


@pytest.fixture
async def opened(sqlite_url: str, tmp_path: Path) -> AsyncIterator[House]:
    async with house(sqlite_url, tmp_path) as house_:
        yield house_


async def account(opened: House, *roles: str, login: str) -> str:
    person = await opened.person(*roles, name=f"Personne {login}")
    hashed = await opened.centre.door.hashing.hash(PASSWORD)
    async with opened.units.begin() as uow:
        row = await uow.session.get(Account, person)
        assert row is not None
        row.login, row.password = login, hashed
    return person


async def made(opened: House, worker: str, *, sector: work.Sector = "aeronautic", order: str = "OF9") -> str:
    """A finished operation of an order; its code."""
    async with opened.units.begin() as uow:
        await work.add_order(uow, order, quantity=4, label="Platine", sector=sector)
        code = await work.add_operation(uow, order, 20, "Fraisage")
        await clocked(uow, code, worker, 0, 60, good=3, scrap=1)
    return code


async def clocked(
    uow: UnitOfWork, code: str, person: str, begin: int, end: int, *, good: int = 0, scrap: int = 0
) -> None:
    """In minutes since `BEGUN`."""
    steps: list[tuple[Literal["start", "end"], int, int, int]] = [("start", begin, 0, 0), ("end", end, good, scrap)]
    for action, minutes, fine, bad in steps:
        await work.clock(
            uow, by=person, action=action, operation=code, person=person, at=BEGUN + timedelta(minutes=minutes),
            good=fine, scrap=bad,
        )  # fmt: skip


async def seen(browser: httpx.AsyncClient, operation: str) -> str:
    page = await browser.get(f"/signatures/{operation}")
    found = re.search(r'name="seen" value="([0-9a-f]{64})"', page.text)
    assert found is not None, page.text
    return found.group(1)


async def sign(browser: httpx.AsyncClient, operation: str, meaning: str = "conform", **fields: str) -> str:
    """What the page says."""
    way = "executer" if meaning == "executed" else "valider"
    data = {"meaning": meaning, "password": PASSWORD, **fields}
    if "seen" not in data:
        data["seen"] = await seen(browser, operation)
    return html.unescape((await browser.post(f"/signatures/{way}/{operation}", data=data)).text)


async def count(opened: House) -> int:
    async with opened.units.reading() as uow:
        return len(list(await uow.session.scalars(select(Signature.id))))


async def test_a_finished_operation_waits_is_signed_and_has_its_line_in_the_journal(opened: House) -> None:
    worker, quality = await opened.person("chef_atelier"), await account(opened, "qualite", login="q")
    code = await made(opened, worker)
    async with opened.browser(await opened.cookie(quality)) as browser:
        assert "À signer" in (await browser.get("/signatures")).text
        assert "Signer" in (await browser.get("/signatures")).text
        assert "Signé : « Contrôlé conforme »." in (await sign(browser, code)).replace("\xa0", " ")
        listed = (await browser.get("/signatures")).text
        assert "Rien n’attend de signature" in listed
        assert "Personne q" in listed
    async with opened.units.reading() as uow:
        [line] = await audit.search(uow, Search(what="signing.sign"))
        [row] = await uow.session.scalars(select(Signature))
        sheet = await signing.sheet(uow, code)
        assert (line.who, line.subject, line.detail["hash"]) == (quality, f"operation:{code}", row.hash)
        assert (row.person, row.entry_id) == (quality, line.id)
        assert (sheet.facts["result"]["good"], sheet.facts["result"]["scrap"], sheet.standing) == (3, 1, "signed")
        assert sheet.facts["work"][0]["person"] == worker
        assert "Personne" not in row.text
        assert (await check(uow)).findings == []


async def test_a_wrong_password_signs_nothing_is_counted_and_slows_down(opened: House) -> None:
    code = await made(opened, await opened.person("chef_atelier"))
    quality = await account(opened, "qualite", login="q")
    async with opened.browser(await opened.cookie(quality)) as browser:
        for n in range(5):
            assert "pas votre mot de passe" in await sign(browser, code, password=f"essai {n} de mot de passe")
        assert "attendez" in await sign(browser, code)
        assert "attendez" in (await browser.post("/connexion", data={"login": "q", "password": PASSWORD})).text
    async with opened.units.reading() as uow:
        outcomes = list(await uow.session.scalars(select(SignIn.outcome).where(SignIn.person == quality)))
    assert outcomes == ["wrong"] * 5
    assert await count(opened) == 0


async def test_the_second_factor_is_asked_where_there_is_one_and_counts_once(opened: House) -> None:
    code = await made(opened, await opened.person("chef_atelier"))
    quality = await account(opened, "qualite", login="q")
    secret = pyotp.random_base32()
    async with opened.units.begin() as uow:
        await own.set_totp(uow, quality, opened.centre.keys.seal(secret.encode(), quality), 0)
    async with opened.browser(await opened.cookie(quality)) as browser:
        assert "second facteur" in await sign(browser, code)
        assert "second facteur" in await sign(browser, code, code="000000")
        now = pyotp.TOTP(secret).now()
        assert "mot de passe" in await sign(browser, code, code=now, password="un autre mot de passe")
        assert "Signé" in await sign(browser, code, code=now)
        assert "second facteur" in await sign(browser, code, "released", code=now)
    async with opened.units.reading() as uow:
        [line] = await audit.search(uow, Search(what="signing.sign"))
    assert line.detail["proof"] == ["password", "code"]


async def test_a_passkey_signs_with_the_password_and_an_old_answer_does_not(opened: House) -> None:
    code = await made(opened, await opened.person("chef_atelier"))
    quality = await account(opened, "qualite", login="q")
    async with opened.browser(await opened.cookie(quality)) as browser:
        browser.base_url = httpx.URL("http://localhost:8000")
        browser.cookies.set("copeau-session", await opened.cookie(quality))
        key = Authenticator("localhost", "http://localhost:8000")
        options = (await browser.post("/compte/cles/demande", data={"password": PASSWORD})).json()
        await browser.post("/compte/cles", content=key.make(options))
    async with opened.browser(await opened.cookie(quality)) as browser:
        browser.base_url = httpx.URL("http://localhost:8000")
        browser.cookies.set("copeau-session", await opened.cookie(quality))
        answer = key.show((await browser.post("/signatures/cle/valider")).json())
        assert "mot de passe" in await sign(browser, code, key=answer, password="un autre mot de passe")
        assert "Signé" in await sign(browser, code, key=answer)
        assert "second facteur" in await sign(browser, code, "released", key=answer)
        assert "second facteur" in await sign(browser, code, "released", key="{")


async def test_nobody_signs_in_anothers_name_or_with_anothers_password(opened: House) -> None:
    worker = await account(opened, "chef_atelier", login="w")
    other = await account(opened, "methodes", login="m")
    code = await made(opened, worker)
    async with (
        opened.browser(await opened.cookie(worker)) as mine,
        opened.browser(await opened.cookie(other)) as theirs,
    ):
        shown = await seen(mine, code)
        assert "qui a pointé" in await sign(theirs, code, "executed", seen=shown)
        assert "« Atelier et pointages" in (await sign(theirs, code, seen=shown)).replace("\xa0", " ")
        assert "Signé" in await sign(mine, code, "executed", person=other)
        assert "déjà signé" in await sign(mine, code, "executed", seen=shown)
    async with opened.units.reading() as uow:
        assert list(await uow.session.scalars(select(Signature.person))) == [worker]
    hashed = await opened.centre.door.hashing.hash("une tout autre phrase de passe")
    async with opened.units.begin() as uow:
        row = await uow.session.get(Account, worker)
        assert row is not None
        row.password = hashed
    async with opened.browser(await opened.cookie(worker)) as mine:
        assert "pas votre mot de passe" in await sign(mine, code)


async def test_another_site_and_an_ended_session_sign_nothing(opened: House) -> None:
    quality = await account(opened, "qualite", login="q")
    code = await made(opened, await opened.person("chef_atelier"))
    cookie = await opened.cookie(quality)
    async with opened.browser(cookie) as browser:
        data = {"meaning": "conform", "password": PASSWORD, "seen": await seen(browser, code)}
        path = f"/signatures/valider/{code}"
        elsewhere = {"Sec-Fetch-Site": "cross-site"}
        assert (await browser.post(path, data=data, headers=elsewhere)).status_code == 403
        assert (await browser.post("/of/secteur", data={"order": "OF9", "sector": "civil"})).status_code == 403
        del browser.headers["HX-Request"]
        assert (await browser.post(path, data=data)).status_code == 403
        browser.headers["HX-Request"] = "true"
        await browser.post("/deconnexion")
        browser.cookies.set("copeau-session", cookie)
        assert (await browser.post(path, data=data)).status_code == 401
    assert await count(opened) == 0


async def test_civil_orders_have_none_of_it(opened: House) -> None:
    chief = await account(opened, "chef_atelier", login="c")
    code = await made(opened, chief, sector="civil")
    async with opened.browser(await opened.cookie(chief)) as browser:
        assert "/signatures" not in (await browser.get("/")).text
        assert code not in (await browser.get("/signatures")).text
        assert (await browser.get(f"/signatures/{code}")).status_code == 404
        refused = await browser.post(
            f"/signatures/valider/{code}", data={"meaning": "conform", "password": PASSWORD, "seen": "0" * 64}
        )
        assert refused.status_code == 404
        await browser.post("/of/secteur", data={"order": "OF9", "sector": "military"})
        assert "/signatures" in (await browser.get("/")).text
        assert code in (await browser.get("/signatures")).text
        assert (await browser.post("/of/secteur", data={"order": "OF9", "sector": "naval"})).status_code == 422
        assert (await browser.post("/of/secteur", data={"order": "OF0", "sector": "civil"})).status_code == 404
    async with opened.units.reading() as uow:
        [line] = await audit.search(uow, Search(what="work.sector"))
    assert (line.who, line.subject) == (chief, "order:OF9")
    assert line.detail == {"before": "civil", "after": "military"}


async def test_what_changes_after_the_signature_is_told_and_signed_again(opened: House) -> None:
    chief = await account(opened, "chef_atelier", login="c")
    code = await made(opened, chief)
    async with opened.browser(await opened.cookie(chief)) as browser:
        before = await seen(browser, code)
        await sign(browser, code, "released")
        async with opened.units.begin() as uow:
            await clocked(uow, code, chief, 70, 80, scrap=1)
        assert "modifié depuis la signature" in (await browser.get("/signatures")).text
        assert "modifié depuis la signature" in (await browser.get(f"/signatures/{code}")).text
        assert "ont changé depuis" in await sign(browser, code, "released", seen=before)
        assert "Signé" in await sign(browser, code, "released")
        listed = (await browser.get("/signatures")).text
        assert "Modifié depuis la signature" not in listed
    async with opened.units.reading() as uow:
        sheet = await signing.sheet(uow, code)
        assert [one.agrees for one in sheet.signatures] == [True, False]
        assert (await check(uow)).findings == []


async def test_a_reopened_operation_is_not_signed(opened: House) -> None:
    chief = await account(opened, "chef_atelier", login="c")
    code = await made(opened, chief)
    async with opened.browser(await opened.cookie(chief)) as browser:
        shown = await seen(browser, code)
        await sign(browser, code)
        async with opened.units.begin() as uow:
            await work.clock(uow, by=chief, action="start", operation=code, person=chief)
        assert "rouverte" in (await browser.get(f"/signatures/{code}")).text
        assert "rouverte" in await sign(browser, code, "released", seen=shown)


async def test_an_operator_signs_own_work_and_sees_no_other(opened: House) -> None:
    operator = await account(opened, "operateur", login="o")
    async with opened.units.begin() as uow:
        await standing.give_operation(uow, operator, "OF9-20", "given", by="system")
    mine = await made(opened, operator)
    other = await made(opened, await opened.person("operateur"), order="OF10")
    async with opened.browser(await opened.cookie(operator)) as browser:
        listed = (await browser.get("/signatures")).text
        assert mine in listed
        assert other not in listed
        assert (await browser.get(f"/signatures/{other}")).status_code == 404
        assert "Libéré" not in (await browser.get(f"/signatures/{mine}")).text.partition("Signer</h2>")[2]
        assert "Signé" in await sign(browser, mine, "executed")
        assert (await browser.post(f"/signatures/valider/{mine}")).status_code == 403


async def test_an_open_centre_lists_and_signs_nothing(sqlite_url: str, tmp_path: Path) -> None:
    async with house(sqlite_url, tmp_path, access="open") as opened:
        code = await made(opened, "p-1")
        async with opened.browser() as browser:
            assert code in (await browser.get("/signatures")).text
            assert "on n’y signe pas" in (await browser.get(f"/signatures/{code}")).text
            data = {"meaning": "conform", "password": PASSWORD, "seen": "0" * 64}
            assert (await browser.post(f"/signatures/valider/{code}", data=data)).status_code == 409
