"""``machine.block``: several signals in one fact mean what the same values mean alone."""

from __future__ import annotations

from central.machines import service as machines
from contracts.facts import MachineBlock, MachineSamples, Series
from tests.integration.central.work.harness import at, open_shop


async def test_a_block_is_its_series(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        shop.clock.moment = at(10)
        alone = [
            MachineSamples(machine="tour-1", signal="x_load", unit="%", t0=at(0), dt=[0, 500], v=[1.0, 3.0]),
            MachineSamples(machine="tour-1", signal="z_load", unit="%", t0=at(0), dt=[250], v=[7.0]),
        ]
        together = MachineBlock(
            machine="tour-2",
            t0=at(0),
            series=[
                Series(signal="x_load", unit="%", dt=[0, 500], v=[1.0, 3.0]),
                Series(signal="z_load", unit="%", dt=[250], v=[7.0]),
            ],
        )
        block = shop.fact(0, together)
        await shop.say(*[shop.fact(0, body) for body in alone], block)
        await shop.say(block)
        async with shop.units.reading() as uow:
            for signal in ("x_load", "z_load"):
                first, second = [
                    await machines.samples(uow, code, signal, at(0), at(1), points=60) for code in ("tour-1", "tour-2")
                ]
                assert (first.unit, first.points) == (second.unit, second.points)
                assert first.points
            found = await machines.samples(uow, "tour-2", "x_load", at(0), at(1), points=60)
            assert [(p.low, p.high) for p in found.points] == [(1.0, 3.0)]
