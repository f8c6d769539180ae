from __future__ import annotations

from central.people import service as people
from contracts.codes import format_code
from contracts.facts import CodeScanned
from tests.integration.central.work.harness import at, open_shop


def badge(code: str, post: str = "poste-1") -> CodeScanned:
    return CodeScanned(code=code, format="QRCode", post=post)


async def test_who_is_at_the_post(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        async with shop.units.begin() as uow:
            one = await people.add_person(uow, "Opérateur 1", badge="a1")
            two = await people.add_person(uow, "Opérateur 2", badge="A2")
        assert one.badge_code == format_code("PE", "A1")
        second = shop.fact(30, badge(two.badge_code or ""))
        await shop.say(second, shop.fact(0, badge(one.badge_code or "")))
        await shop.say(second)
        async with shop.units.reading() as uow:
            asked = [("poste-1", at(-1)), ("poste-1", at(10)), ("poste-1", at(40)), ("poste-2", at(40))]
            found = await people.present(uow, asked)
            assert [found[question] for question in asked] == [None, one.id, two.id, None]
            assert await people.present_at(uow, "poste-1", at(10)) == one.id


async def test_a_badge_given_later_explains_its_scans(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await shop.say(shop.fact(0, badge(format_code("PE", "Z9"))))
        async with shop.units.begin() as uow:
            assert await people.present_at(uow, "poste-1", at(1)) is None
            person = await people.add_person(uow, "Opérateur 1")
            await people.give_badge(uow, person.id, "z9")
            assert await people.present_at(uow, "poste-1", at(1)) == person.id


async def test_an_erased_person_keeps_only_the_id(database_url: str) -> None:
    async with open_shop(database_url) as shop, shop.units.begin() as uow:
        person = await people.add_person(uow, "Opérateur 1")
        assert await people.names(uow, [person.id]) == {person.id: "Opérateur 1"}
        await people.erase(uow, person.id)
        assert await people.names(uow, [person.id]) == {person.id: person.id}
        assert await people.persons(uow) == []
        assert [p.badge_code for p in await people.persons(uow, active_only=False)] == [None]


def test_a_misread_badge_is_not_a_badge() -> None:
    assert people.badge_in(format_code("PE", "A1")) == "A1"
    assert people.badge_in(format_code("OP", "OF118-20")) is None
    assert people.badge_in("PE:A1:?") is None
    assert people.badge_in("3760001234567") is None
