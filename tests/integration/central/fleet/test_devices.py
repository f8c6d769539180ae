"""The rules of enrolment on both databases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from central.fleet import enrolment
from central.fleet.ca import Authority
from central.fleet.enrolment import RefusedError
from central.fleet.models import FleetInvitation
from tests.support.centre import Bench, bench


class SetClock:
    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.open(tmp_path / "trust", "atelier", [], SetClock().now())


def request() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    made = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


async def invite(centre: Bench, name: str = "rack-1") -> str:
    async with centre.units.begin() as uow:
        return (await enrolment.invite(uow, name, "agent", by="p-1")).token


async def enrol(centre: Bench, authority: Authority, token: str) -> str:
    async with centre.units.begin() as uow:
        _, issued = await enrolment.enrol_agent(uow, authority, token, request())
    return issued.serial


async def test_a_devices_life(database_url: str, authority: Authority) -> None:
    clock = SetClock()
    async with bench(database_url, clock) as centre:
        token = await invite(centre)
        async with centre.units.reading() as uow:
            kept = await uow.session.scalars(select(FleetInvitation.token_hash))
            assert token not in set(kept), "only its hash lies in the database"
            [device] = await enrolment.devices(uow)
            assert (device.enrolled_at, device.invited_until) == (None, clock.now() + timedelta(minutes=15))
        first = await enrol(centre, authority, token)
        clock.moment += timedelta(days=61)
        async with centre.units.begin() as uow:
            second = (await enrolment.renew(uow, authority, "rack-1", request())).serial
            assert await enrolment.device_of_serial(uow, first) == "rack-1"
            assert await enrolment.device_of_serial(uow, second) == "rack-1"
            assert await enrolment.revoked(uow) == {}
            [device] = await enrolment.devices(uow)
            assert device.cert_until == clock.now().replace(microsecond=0) + timedelta(days=90)
        async with centre.units.begin() as uow:
            await enrolment.retire(uow, "rack-1", by="p-1")
        async with centre.units.begin() as uow:
            assert set(await enrolment.revoked(uow)) == {first, second}
            assert await enrolment.to_drop(uow) == {"rack-1": {first, second}}
            assert await enrolment.device_of_serial(uow, second) is None
            with pytest.raises(RefusedError):
                await enrolment.renew(uow, authority, "rack-1", request())
            await enrolment.note_dropped(uow, {first, second})
            assert await enrolment.to_drop(uow) == {}
            assert await enrolment.devices(uow) == []
            assert len(await enrolment.devices(uow, retired=True)) == 1
        clock.moment += timedelta(days=60)
        async with centre.units.reading() as uow:
            assert set(await enrolment.revoked(uow)) == {second}, "what is over needs no place in the list"
        again = await enrol(centre, authority, await invite(centre))
        async with centre.units.reading() as uow:
            assert await enrolment.device_of_serial(uow, again) == "rack-1"


async def test_of_two_that_use_one_token_at_the_same_time_one_is_enrolled(
    database_url: str, authority: Authority
) -> None:
    async with bench(database_url, SetClock()) as centre:
        token = await invite(centre)
        answers = await asyncio.gather(*(enrol(centre, authority, token) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(answer, str) for answer in answers) == 1
    assert sum(isinstance(answer, RefusedError) for answer in answers) == 4


async def test_a_retired_devices_open_invitation_is_over(database_url: str, authority: Authority) -> None:
    async with bench(database_url, SetClock()) as centre:
        token = await invite(centre)
        async with centre.units.begin() as uow:
            await enrolment.retire(uow, "rack-1", by="p-1")
        with pytest.raises(RefusedError, match="plus valable"):
            await enrol(centre, authority, token)


async def test_a_token_of_another_site_is_refused(database_url: str, authority: Authority) -> None:
    async with bench(database_url, SetClock(), site="ailleurs") as centre:
        token = await invite(centre)
        centre.settings.site = "atelier"
        with pytest.raises(RefusedError, match="pas d'ici"):
            await enrol(centre, authority, token)
