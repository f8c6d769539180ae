"""From the first link to the second factor, over HTTP as a browser does it; and what an attacker would try there."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pyotp
import pytest
from sqlalchemy import select

from central.alerts import service as alerts
from central.audit import service as audit
from central.core.keyfile import KeyFileError
from central.core.rights import Right
from central.people import accounts, links, own, service, sessions
from central.people.account_models import Account, AccountSession, SignIn
from central.people.keys import Keys, key_path
from tests.support.access import House, house

PASSWORD = "le tour chante quand il pleut"


@pytest.fixture
async def opened(sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[House]:
    caplog.set_level(logging.WARNING)
    async with house(sqlite_url, tmp_path) as house_:
        yield house_


async def account(opened: House, *roles: str, login: str = "dupont") -> str:
    person = await opened.person(*roles)
    hashed = await opened.centre.door.hashing.hash(PASSWORD)
    async with opened.units.begin() as uow:
        row = await uow.session.get(Account, person)
        assert row is not None
        row.login, row.password = login, hashed
    return person


async def sign_in(browser: httpx.AsyncClient, login: str = "dupont", password: str = PASSWORD) -> httpx.Response:
    return await browser.post("/connexion", data={"login": login, "password": password})


async def with_totp(opened: House, browser: httpx.AsyncClient) -> tuple[str, list[str]]:
    """Set up an authenticator on the account page; its secret, and the recovery codes."""
    shown = await browser.post("/compte/totp", data={"password": PASSWORD})
    secret = re.search(r'class="code">([A-Z2-7 ]+)<', shown.text)
    pending = re.search(r'name="pending" value="([^"]+)"', shown.text)
    assert secret is not None
    assert pending is not None
    plain = secret.group(1).replace(" ", "")
    done = await browser.post(
        "/compte/totp/confirmer", data={"pending": pending.group(1), "code": pyotp.TOTP(plain).now()}
    )
    return plain, re.findall(r"<li>([a-z0-9-]+)</li>", done.text)


async def test_first_start_makes_one_owner_who_must_set_up_a_second_factor(
    opened: House, caplog: pytest.LogCaptureFixture
) -> None:
    said = " ".join(record.getMessage() for record in caplog.get_records("setup"))
    link = re.search(r"/bienvenue/\S+", said)
    assert link is not None
    async with opened.browser() as browser:
        assert "propriétaire" in (await browser.get(link.group())).text
        weak = await browser.post(
            link.group(), data={"name": "A. B.", "login": "ab", "password": "court", "again": "court"}
        )
        assert "trop court" in weak.text
        begun = {"name": "A. B.", "login": "A.B", "password": PASSWORD, "again": PASSWORD}
        assert (await browser.post(link.group(), data=begun)).headers["HX-Redirect"] == "/compte"
        assert (await browser.get("/stock")).headers["HX-Redirect"] == "/compte"
        secret, codes = await with_totp(opened, browser)
        assert len(codes) == 10
        assert (await browser.get("/stock")).status_code == 200
        assert (await browser.get(link.group())).status_code == 410
    async with opened.browser() as other:
        assert (await sign_in(other, "a.b")).headers["HX-Redirect"] == "/connexion/code"
        assert (await other.get("/stock")).status_code == 403
        assert (await other.get("/compte")).status_code == 403
        later = pyotp.TOTP(secret).at(datetime.now(UTC) + timedelta(seconds=30))
        assert (await other.post("/connexion/code", data={"code": later})).headers["HX-Redirect"] == "/"
        assert (await other.get("/stock")).status_code == 200
    async with opened.browser() as third:
        await sign_in(third, "a.b")
        assert "déjà servi" in (await third.post("/connexion/code", data={"code": later})).text
        assert (await third.post("/connexion/code", data={"code": codes[3]})).headers["HX-Redirect"] == "/"
        await third.post("/deconnexion")
        await sign_in(third, "a.b")
        assert "déjà servi" in (await third.post("/connexion/code", data={"code": codes[3]})).text
    async with opened.units.reading() as uow:
        assert not await links.setup_token(uow)


async def test_wrong_names_and_wrong_passwords_are_told_alike(opened: House) -> None:
    await account(opened)
    async with opened.browser() as browser:
        assert (await sign_in(browser, password="un autre mot de passe")).text == (
            await sign_in(browser, "durand")
        ).text


async def test_waiting_does_not_tell_which_names_there_are(opened: House) -> None:
    await account(opened)
    said: dict[str, list[bool]] = {}
    for name in ("dupont", "durand"):
        async with opened.browser() as browser:
            answers = [(await sign_in(browser, name, f"essai {n} de mot de passe")).text for n in range(7)]
        said[name] = ["attendez" in answer for answer in answers]
    assert said["dupont"] == said["durand"] == [False] * 5 + [True] * 2
    async with opened.browser() as browser:
        answers = [(await sign_in(browser, f"nom{n}", "un mot de passe d’ailleurs")).text for n in range(30)]
        assert ["attendez" in answer for answer in answers].index(True) == 20  # 30 from this address, whatever the name
    async with opened.units.reading() as uow:
        kept = set(await uow.session.scalars(select(SignIn.person)))
    assert not any(name in (one or "") for one in kept for name in ("durand", "nom"))


async def test_guessing_is_slowed_down_and_the_known_browser_is_not(opened: House) -> None:
    await account(opened, "magasinier")
    async with opened.browser() as mine, opened.browser() as stranger:
        assert (await sign_in(mine)).headers["HX-Redirect"] == "/"
        for n in range(5):
            assert "inconnu" in (await sign_in(stranger, password=f"essai {n} de mot de passe")).text
        assert "attendez" in (await sign_in(stranger)).text
        assert (await sign_in(mine)).headers["HX-Redirect"] == "/"
    async with opened.units.reading() as uow:
        outcomes = [row.outcome for row in await uow.session.scalars(select(SignIn).order_by(SignIn.id))]
    assert outcomes == ["ok", *["wrong"] * 5, "ok"]


async def test_a_session_given_beforehand_is_not_the_one_that_signs_in(opened: House) -> None:
    """Session fixation: the token changes with every step."""
    person = await account(opened, "magasinier")
    planted = await opened.cookie(person)
    async with opened.browser(planted) as browser:
        answer = await sign_in(browser)
        given = answer.cookies["copeau-session"]
        assert given != planted
    cookies = answer.headers.get_list("set-cookie")
    assert all("HttpOnly" in cookie and "samesite=lax" in cookie.lower() for cookie in cookies)


async def test_a_forged_or_altered_cookie_opens_nothing(opened: House) -> None:
    cookie = await opened.cookie(await account(opened, "magasinier"))
    for forged in (
        cookie[:-1] + ("A" if cookie[-1] != "A" else "B"),
        "x" + cookie,
        cookie.partition(".")[0],
        "é.é",
        "",
    ):
        assert (await opened.first("GET", "/stock", forged.encode().decode("latin-1")))[0] == 401
    assert (await opened.first("GET", "/stock", cookie))[0] == 200


async def test_signing_out_and_leaving_the_company_end_the_session_at_once(opened: House) -> None:
    person = await account(opened, "magasinier")
    first, second = await opened.cookie(person), await opened.cookie(person)
    async with opened.browser(first) as browser:
        await browser.post("/deconnexion")
    assert (await opened.first("GET", "/stock", first))[0] == 401
    async with opened.units.begin() as uow:
        await accounts.set_active(uow, person, active=False, by="system")
    assert (await opened.first("GET", "/stock", second))[0] == 401


async def test_a_session_used_while_others_are_written_down_is_kept_for_the_next_time(opened: House) -> None:
    person = await account(opened, "magasinier")
    for _ in range(2):
        await opened.cookie(person)
    async with opened.units.begin() as uow:
        first, second = list(await uow.session.scalars(select(AccountSession.id)))
        seen = {first: uow.now}
        written = uow.session.execute

        async def used_meanwhile(*said: object, **more: object) -> object:
            seen[second] = uow.now
            return await written(*said, **more)  # type: ignore[call-overload]  # passed on

        uow.session.execute = used_meanwhile  # type: ignore[method-assign]
        await sessions.write_seen(uow, seen)
    assert list(seen) == [second]


async def test_an_idle_session_and_an_old_one_are_over(opened: House) -> None:
    person = await account(opened, "magasinier")
    idle, old = await opened.cookie(person), await opened.cookie(person)
    now = opened.units.clock.now()
    async with opened.units.begin() as uow:
        first, second = list(await uow.session.scalars(select(AccountSession).order_by(AccountSession.created_at)))
        first.seen_at = now - timedelta(hours=13)
        second.expires_at = now - timedelta(seconds=1)
    assert (await opened.first("GET", "/stock", idle))[0] == 401
    assert (await opened.first("GET", "/stock", old))[0] == 401


async def test_only_the_owner_gives_rights_and_nobody_takes_the_owners(opened: House) -> None:
    owner, admin = await opened.person(owner=True, name="Propriétaire"), await opened.person("admin")
    async with opened.units.begin() as uow:
        await own.set_totp(uow, owner, b"sealed", 0)
        await own.set_totp(uow, admin, b"sealed", 0)
    async with opened.browser(await opened.cookie(admin)) as browser:
        assert (await browser.post(f"/personnes/{admin}/roles", data={"role": "methodes"})).status_code == 403
        assert (await browser.post(f"/personnes/{admin}/droits/stock/lire", data={"choice": "non"})).status_code == 403
        assert "propriétaire" in (await browser.post(f"/personnes/{owner}/lien")).text
        assert "propriétaire" in (await browser.post(f"/personnes/{owner}/actif/non")).text
    async with opened.browser(await opened.cookie(owner)) as browser:
        answer = await browser.post(f"/personnes/{admin}/roles", data={"role": ["qualite", "methodes"]})
        assert "Rôles enregistrés" in answer.text
    async with opened.units.reading() as uow:
        assert await accounts.roles_of(uow, admin) == ("methodes", "qualite")
        (newest, *_) = await audit.entries(uow, subject=f"person:{admin}")
    assert (newest.who, newest.what, newest.detail["before"]) == (owner, "people.roles", ["admin"])


async def test_a_link_gives_nobody_rights_that_its_maker_lacks(opened: House) -> None:
    maker, chief, helper = (
        await opened.person("magasinier"),
        await opened.person("admin"),
        await opened.person("operateur"),
    )
    async with opened.units.begin() as uow:
        for action in ("lire", "modifier"):
            await accounts.set_exception(uow, maker, Right("comptes", action), allowed=True, by="system")  # type: ignore[arg-type]  # two of its words
        await accounts.set_exception(uow, helper, Right("atelier", "creer"), allowed=False, by="system")
        await accounts.set_exception(uow, maker, Right("atelier", "creer"), allowed=True, by="system")
        await own.set_totp(uow, maker, b"sealed", 0)
    async with opened.browser(await opened.cookie(maker)) as browser:
        refused = await browser.post(f"/personnes/{chief}/lien")
        assert "propriétaire" in refused.text
        assert "/bienvenue/" not in refused.text
        assert "/bienvenue/" in (await browser.post(f"/personnes/{helper}/lien")).text


async def test_an_invitation_is_good_once_and_for_one_person(opened: House) -> None:
    person = await opened.person("qualite")
    async with opened.units.begin() as uow:
        first = await links.invite(uow, person, by="system", by_owner=False)
        second = await links.invite(uow, person, by="system", by_owner=False)
    chosen = {"login": "durand", "password": PASSWORD, "again": PASSWORD, "name": "Autre nom"}
    async with opened.browser() as browser:
        assert (await browser.get(f"/bienvenue/{first}")).status_code == 410
        assert (await browser.post(f"/bienvenue/{second}", data=chosen)).headers["HX-Redirect"] == "/compte"
        assert "plus valable" in (await browser.post(f"/bienvenue/{second}", data=chosen)).text
        assert (await browser.get("/a-verifier")).status_code == 200


async def test_a_signed_in_person_acts_in_no_other_name(opened: House) -> None:
    person = await account(opened, "chef_atelier")
    async with opened.units.begin() as uow:
        other = await accounts.add(uow, "Quelqu’un d’autre", by="system")
        alert = await alerts.raise_alert(uow, "essai", "high", "Essai")
    async with opened.browser(await opened.cookie(person)) as browser:
        assert (await browser.post(f"/api/alerts/{alert}/acknowledge", json={"by": other})).status_code == 204
    async with opened.units.reading() as uow:
        assert {entry.who for entry in await audit.entries(uow)} == {person, "system"}


async def test_erasing_a_person_erases_the_account_and_its_history(opened: House) -> None:
    person = await account(opened, "magasinier")
    async with opened.browser() as browser:
        await sign_in(browser)
        async with opened.units.begin() as uow:
            await service.erase(uow, person)
        assert (await browser.get("/stock")).status_code == 401
    async with opened.units.reading() as uow:
        for table in (Account, AccountSession, SignIn):
            assert (await uow.session.scalars(select(table).where(table.person == person))).first() is None


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    from central.core.settings import Settings

    settings = Settings(_env_file=None, data=tmp_path)
    Keys(settings).open()
    key_path(settings).chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        Keys(settings).open()
