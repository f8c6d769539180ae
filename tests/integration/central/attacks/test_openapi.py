"""Schemathesis over the OpenAPI document of the running application: what it allows, what it forbids, and no failure.

The document holds the data routes (``/api``, ``/ca.crt``). Pages are left out of it (``include_in_schema=False``):
they, and the bodies that no document describes (facts, pictures, texts), are walked by ``test_hostile_requests.py``.
More examples of each operation: ``COPEAU_OPENAPI_EXAMPLES=100 pytest …``.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import httpx
import pytest
import requests
import schemathesis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from central.alerts import service as alerts
from central.fleet import enrolment
from central.fleet.identifying import CERTIFICATE
from central.items import service as items
from central.machines import service as machines
from central.people import own
from central.people import service as people
from central.programmes import service as programmes
from central.racks import service as racks
from central.stock import service as stock
from central.work import service as work
from contracts.racks import RackDescription, SlotDescription
from copeau.servers.broker import free_port
from tests.support.access import BASE, House, first_word, house

EXAMPLES = int(os.environ.get("COPEAU_OPENAPI_EXAMPLES", "6"))
"""Of each operation, and as many again that the document forbids."""
Who = Literal["owner", "terminal", "agent"]
NOW = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)
THERE = {
    "alert_id": 1, "rack": "rack-a", "item": "PLAQ", "machine": "tour-1", "code": "OF1-10", "signal": "spindle_load",
    "programme_id": 1, "version_id": 1, "act": "submit", "conflict_id": 1, "number": 1, "person": "p-1", "moment": "0",
    "agent": "poste-1", "boot": "b0000001", "fact_id": 1, "transfer_id": "0" * 32, "observation": 1,
}  # fmt: skip
"""What a path may name so that something is found."""


@asynccontextmanager
async def filled(url: str, folder: Path) -> AsyncIterator[House]:
    """A centre with an authority and something under each name of `THERE`."""
    async with house(url, folder, tls_port=free_port(), tls_host="127.0.0.1") as home:
        square = [(0.0, 0.0), (90.0, 0.0), (90.0, 90.0)]
        slot = SlotDescription(id="A1", polygon=square, item="PLAQ", klass="insert", count=3)
        who = programmes.Actor("p-1", "methodes")
        stored = await programmes.store(home.units.settings, b"%\nO1\nM30\n%\n", "O1.nc")
        async with home.units.begin() as uow:
            await people.add_person(uow, "Opérateur 1", person_id="p-1")
            await items.add_place(uow, "rack-a/A1")
            await items.add_item(uow, "PLAQ", "Plaquette", "insert", minimum=1000, place="rack-a/A1")
            await stock.receive(uow, "PLAQ", 3000, "rack-a/A1", at=NOW, key="k")
            await machines.add_machine(uow, "tour-1", "Tour 1", kind="tournage", controller="SHDR")
            await work.add_order(uow, "OF1", quantity=10, label="Axe")
            await work.add_operation(uow, "OF1", 10, "Tournage", machine="tour-1", setup_min=5, run_min=1)
            await alerts.raise_alert(uow, "k", "high", "Essai", "", "machine:tour-1")
            await racks.teach(uow, "rack-a", RackDescription(slots=[slot]), by="p-1", label="Tiroir", comment="")
            await programmes.add_programme(uow, who, stored, label="Axe", machine="tour-1")
        yield home


class Browser:
    """One caller: the owner's browser, an enrolled terminal, or an agent with its certificate."""

    def __init__(self, home: House, cookies: dict[str, str], certificate: bytes | None = None) -> None:
        self._app, self._certificate = home.app, certificate
        self._cookies = cookies
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self._with_certificate, raise_app_exceptions=False),
            base_url=BASE,
            cookies=cookies,
            headers={"HX-Request": "true", "Sec-Fetch-Site": "same-origin"},
        )

    async def _with_certificate(self, scope: Any, receive: Any, send: Any) -> None:
        """As the listener over TLS does."""
        if self._certificate is not None:
            scope = {**scope, "state": {CERTIFICATE: self._certificate}}
        await self._app(scope, receive, send)

    async def ask(self, case: schemathesis.Case) -> httpx.Response:
        """The answer; of a stream, which has no end, its first word."""
        sent = requests.Request(**case.as_transport_kwargs(base_url=BASE)).prepare()
        address = str(sent.url).removeprefix(BASE)
        headers = {k: str(v) for k, v in sent.headers.items()}
        if urlsplit(address).path == "/api/live":
            headers["cookie"] = "; ".join(f"{k}={v}" for k, v in self._cookies.items())
            status, _ = await first_word(self._app, case.method, address, headers=headers)
            content = {"content-type": "text/event-stream"} if status == 200 else {}
            answer = httpx.Response(status, headers=content, request=httpx.Request(case.method, str(sent.url)))
            answer.elapsed = timedelta()
            return answer
        return await self.client.request(case.method, address, headers=headers, content=sent.body)


async def caller(home: House, who: Who) -> Browser:
    if who == "owner":
        person = await home.person(owner=True, name="Propriétaire")
        async with home.units.begin() as uow:
            await own.set_totp(uow, person, b"sealed", 0)
        return Browser(home, {"copeau-session": await home.cookie(person)})
    async with home.units.begin() as uow:
        made = await enrolment.invite(uow, "poste-1" if who == "terminal" else "rack-1", who, by="system")
    async with home.units.begin() as uow:
        if who == "terminal":
            _, secret = await enrolment.enrol_terminal(uow, made.token)
            return Browser(home, {"copeau-device": secret})
        assert home.centre.trust is not None
        _, issued = await enrolment.enrol_agent(uow, home.centre.trust.authority, made.token, signing_request())
    der = x509.load_pem_x509_certificate(issued.pem).public_bytes(serialization.Encoding.DER)
    return Browser(home, {}, der)


def signing_request() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore:Do not use the .random. module inside strategies")  # Schemathesis does
async def test_no_request_of_the_document_breaks_the_centre(sqlite_url: str, tmp_path: Path) -> None:
    async with filled(sqlite_url, tmp_path) as home, AsyncExitStack() as open_:
        document = home.app.openapi()
        attack = Attack({who: await caller(home, who) for who in get_args(Who)}, asyncio.get_running_loop())
        for one in attack.browsers.values():
            await open_.enter_async_context(one.client)
        operations = [result.ok() for result in schemathesis.openapi.from_dict(document).get_all_operations()]
        for operation in operations:
            await asyncio.to_thread(attack.on, operation)
        print(len(operations), "operations:", dict(attack.counts))
        assert not attack.wrong, "\n\n".join(attack.wrong[:20])
        assert len(operations) == sum(len(methods) for methods in document["paths"].values()) >= 68
        assert attack.counts["owner: 2xx"] > len(operations) / 2


class Attack:
    """Every caller asks what the document allows and what it forbids."""

    def __init__(self, browsers: Mapping[Who, Browser], loop: asyncio.AbstractEventLoop) -> None:
        self.browsers, self._loop = browsers, loop
        self.counts: Counter[str] = Counter()
        """Answers: ``owner: 2xx``."""
        self.wrong: list[str] = []
        """What went wrong, the smallest example of each."""

    def on(self, operation: Any) -> None:
        for mode in schemathesis.GenerationMode:
            asked = settings(
                max_examples=EXAMPLES, derandomize=True, database=None, deadline=timedelta(seconds=60),
                suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate, Phase.shrink],
            )  # fmt: skip
            cases = operation.as_strategy(generation_mode=mode)
            drawn = given(case=cases, who=st.sampled_from(("owner", *get_args(Who))), there=st.booleans())
            try:
                asked(drawn(self._ask))()
            except Unsatisfiable:
                continue  # nothing can be forbidden where nothing is asked for
            except (Exception, FailureGroup) as error:  # noqa: BLE001  # whatever it is, the next one is asked all the same
                self.wrong.append(f"{operation.label} ({mode.value}): {said(error)}"[:2000])

    def _ask(self, case: schemathesis.Case, who: Who, there: bool) -> None:
        if there:
            case.path_parameters = {k: THERE.get(k, v) for k, v in (case.path_parameters or {}).items()}
        answer = asyncio.run_coroutine_threadsafe(self.browsers[who].ask(case), self._loop).result(60)
        self.counts[f"{who}: {answer.status_code // 100}xx"] += 1
        # A refusal says a sentence, or FastAPI's list: the document knows the list only.
        meant = [content_type_conformance, response_schema_conformance] if answer.is_success else []
        case.validate_response(answer, checks=[not_a_server_error, *meant])


def said(error: BaseException) -> str:
    below = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return "\n".join([str(error), *map(said, below)])
