"""``copeau cnc``: what a controller offers, and what it says as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections import Counter
from pathlib import Path

import click
import msgspec

from cnc_bridge import probing
from cnc_bridge.config import ConfigError, MachineSource, load
from cnc_bridge.follow import Step, follow
from cnc_bridge.port import DriverFaultError, Finding
from cnc_bridge.tracking import Event, SamplesReady, TrackerState
from copeau.commands.guard import command as guard

_CONFIG = click.option(
    "--config",
    "config",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The machine's TOML file.",
)


@click.group()
def command() -> None:
    """Controllers: what they offer, what they say."""
    if not logging.getLogger().isEnabledFor(logging.DEBUG):  # asyncua tells every request at INFO
        logging.getLogger("asyncua").setLevel(logging.ERROR)


command.add_command(guard)


@command.command()
@click.argument("address", required=False)
@click.option(
    "--config", "config", type=click.Path(path_type=Path, dir_okay=False), help="Probe what this TOML file describes."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line per finding.")
def probe(address: str | None, config: Path | None, as_json: bool) -> None:
    """Tell what answers at ADDRESS and print a ready configuration; or check the one of --config.

    ADDRESS: host, host:port, opc.tcp://host:port, http://host:port, /dev/ttyUSB0.
    """
    if (address is None) == (config is None):
        raise click.UsageError("give an ADDRESS, or --config FILE")
    if config is not None:
        _probe_config(_source(config), as_json=as_json)
    elif address is not None:
        _probe_address(address, as_json=as_json)


def _probe_config(source: MachineSource, *, as_json: bool) -> None:
    try:
        findings = asyncio.run(source.create_driver().probe())
    except DriverFaultError as fault:
        _fail(fault.message, fault.message_fr)
    for finding in findings:
        _show_finding(finding, as_json=as_json)
    if not all(finding.ok for finding in findings):
        click.echo("Some mapped signals are not there: correct [driver.signals].", err=True)


def _probe_address(text: str, *, as_json: bool) -> None:
    try:
        address = probing.parse_address(text)
    except ValueError as error:
        _fail(str(error), "Adresse illisible : écrire l'hôte, hôte:port, opc.tcp://hôte:port ou /dev/tty….")
    offers, refusals = asyncio.run(probing.probe(address))
    for offer in offers:
        if as_json:
            click.echo(msgspec.json.encode({"kind": offer.kind, "title": offer.title, "driver": offer.driver}))
            continue
        click.echo(f"# {offer.title}")
        for finding in offer.findings:
            click.echo(f"#   {finding.kind:9} {finding.name:24} {finding.value}")
        click.echo(f'[machine]\nid = "machine-1"\n\n[driver]\n{offer.driver.strip()}\n')
    for kind, reason in refusals:
        click.echo(f"{kind}: {reason}", err=True)
    if not offers:
        _fail(
            f"{text}: no known controller protocol answers there",
            "Rien de connu ne répond à cette adresse : vérifier qu'elle est juste, que la machine est sous tension, "
            "et que son interface est activée (voir docs/guide/machines/).",
        )


def _show_finding(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(finding))
    else:
        click.echo(f"{'' if finding.ok else 'MISSING '}{finding.kind:9} {finding.name:24} {finding.value}")


@command.command()
@_CONFIG
@click.option("--seconds", type=click.FloatRange(min=0.1), help="Stop after so long; default: until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines, then one line of totals.")
@click.option(
    "--state",
    "state_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Go on from, and keep, the counter's last value in this file.",
)
def watch(config: Path, seconds: float | None, as_json: bool, state_file: Path | None) -> None:
    """Show a machine's events as they come."""
    source = _source(config)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_watch(source, seconds, as_json=as_json, state_file=state_file))


async def _watch(source: MachineSource, seconds: float | None, *, as_json: bool, state_file: Path | None) -> None:
    totals: Counter[str] = Counter()
    saved = _saved(state_file)
    try:
        async with asyncio.timeout(seconds), follow(source, saved) as following:
            try:
                async for step in following.steps():
                    _show(step, totals, as_json=as_json)
                    if state_file is not None:
                        _save(state_file, step.state)
            finally:
                _show(following.rest(), totals, as_json=as_json)
    except TimeoutError:
        pass
    if as_json:
        click.echo(msgspec.json.encode({"type": "totals", "machine": source.machine.id, **totals}))


def _saved(state_file: Path | None) -> TrackerState | None:
    if state_file is None or not state_file.exists():
        return None
    return msgspec.json.decode(state_file.read_bytes(), type=TrackerState)


def _save(state_file: Path, state: TrackerState) -> None:
    beside = state_file.with_suffix(".new")
    beside.write_bytes(msgspec.json.encode(state))
    beside.replace(state_file)


def _show(step: Step, totals: Counter[str], *, as_json: bool) -> None:
    for event in step.events:
        kind = type(event).__struct_config__.tag
        totals[str(kind)] += 1
        if isinstance(event, SamplesReady):
            totals["samples"] += len(event.values)
        click.echo(msgspec.json.encode(event) if as_json else _line(event))
    sys.stdout.flush()


def _line(event: Event) -> str:
    if isinstance(event, SamplesReady):
        return f"{event.t0:%H:%M:%S} {event.signal} {event.values[-1]:g} {event.unit} ({len(event.values)} values)"
    fields = msgspec.structs.asdict(event)
    at = fields.pop("at", None) or fields.get("ended")
    said = " ".join(f"{name}={value}" for name, value in fields.items() if value not in (None, "", False))
    return f"{at:%H:%M:%S} {type(event).__name__} {said}"


@command.command(hidden=True)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
@click.option("--port", type=int, default=7878, show_default=True)
@click.option("--speed", type=click.FloatRange(min=0), default=1.0, show_default=True, help="0: as fast as possible.")
@click.option("--loop/--once", default=True, show_default=True)
@click.option("--wait", is_flag=True, help="Begin with the first client.")
@click.option("--heartbeat-ms", type=int, default=10_000, show_default=True)
def replay(file: Path | None, port: int, speed: float, loop: bool, wait: bool, heartbeat_ms: int) -> None:
    """Serve a recorded SHDR log as a living adapter (the Okuma recording when no FILE is given)."""
    from cnc_bridge.replay import OKUMA, RecordingAdapter

    async def serve() -> None:
        adapter = RecordingAdapter(
            file or OKUMA, port=port, speed=speed, loop=loop, wait_for_client=wait, heartbeat_ms=heartbeat_ms
        )
        async with adapter:
            _ready(f"127.0.0.1:{adapter.port}")
            await adapter.run()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


@command.command(hidden=True)
@click.option("--port", type=int, default=4840, show_default=True)
@click.option("--cycle", "cycle_s", type=float, default=20.0, show_default=True, help="Seconds a cycle.")
@click.option("--between", "between_s", type=float, default=3.0, show_default=True)
@click.option("--alarm-every", type=int, default=7, show_default=True, help="Cycles; 0: never.")
@click.option("--jam-every", type=int, default=0, show_default=True, help="Cycles; 0: never.")
@click.option("--user")
@click.option("--password")
@click.option(
    "--certificates", type=click.Path(path_type=Path, file_okay=False), help="Folder: offers secured endpoints."
)
@click.option("--omit", multiple=True, help="Leave this signal's node out.")
@click.option("--print-config", is_flag=True, help="Print the TOML that reads this machine, and stop.")
def simulate(
    port: int,
    cycle_s: float,
    between_s: float,
    alarm_every: int,
    jam_every: int,
    user: str | None,
    password: str | None,
    certificates: Path | None,
    omit: tuple[str, ...],
    print_config: bool,
) -> None:
    """A made-up machine behind a real OPC UA server."""
    from cnc_bridge.testing.opcua_machine import Plan, SimulatedMachine, example_config

    plan = Plan(
        cycle_s=cycle_s, between_s=between_s, alarm_every=alarm_every, jam_every=jam_every, omit=frozenset(omit)
    )

    async def serve() -> None:
        machine = SimulatedMachine(port, plan, user=user, password=password, certificates=certificates)
        if print_config:
            click.echo(example_config(machine.endpoint))
            return
        async with machine:
            _ready(machine.endpoint)
            await machine.run()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


def _ready(address: str) -> None:
    """One JSON line for whoever started this process."""
    click.echo(msgspec.json.encode({"listening": address, "since": time.time()}))
    sys.stdout.flush()


def _source(path: Path) -> MachineSource:
    try:
        return load(path)
    except ConfigError as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from error


def _fail(*sentences: str) -> None:
    for sentence in sentences:
        click.echo(sentence, err=True)
    raise SystemExit(2)
