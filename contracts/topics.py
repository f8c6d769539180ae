"""MQTT topics: one level per access rule, so that one ACL pattern serves every agent."""

from __future__ import annotations

from typing import NamedTuple

from contracts.envelope import is_name

ROOT = "copeau/v1"
CENTRE = "@centre"
"""Reserved level of the centre's own topics; `@` cannot start an agent's name."""

WRITTEN_BY_AGENT = ("facts", "samples", "state")
READ_BY_AGENT = ("ack", "cmd")


class Address(NamedTuple):
    site: str
    agent: str
    channel: str
    rest: str


def facts(site: str, agent: str) -> str:
    return f"{ROOT}/{site}/{agent}/facts"


def samples(site: str, agent: str) -> str:
    return f"{ROOT}/{site}/{agent}/samples"


def state(site: str, agent: str) -> str:
    """Retained `AgentState`; the agent's last will."""
    return f"{ROOT}/{site}/{agent}/state"


def ack(site: str, agent: str) -> str:
    return f"{ROOT}/{site}/{agent}/ack"


def command(site: str, agent: str, name: str) -> str:
    return f"{ROOT}/{site}/{agent}/cmd/{name}"


def presence(site: str) -> str:
    """Retained `CentrePresence`; the centre's last will. Agents send only while it is present."""
    return f"{ROOT}/{site}/{CENTRE}/presence"


def machine_state(site: str, machine: str) -> str:
    """Retained current machine state, for Node-RED and Home Assistant."""
    return f"{ROOT}/{site}/@state/machines/{machine}"


def parse(topic: str) -> Address | None:
    """Split an agent's topic; None when it is not one (wrong root, reserved or illegal name, unknown channel)."""
    prefix = ROOT + "/"
    if not topic.startswith(prefix):
        return None
    parts = topic[len(prefix) :].split("/", 3)
    if len(parts) < 3 or not is_name(parts[0]) or not is_name(parts[1]):
        return None
    if parts[2] not in WRITTEN_BY_AGENT + READ_BY_AGENT:
        return None
    return Address(parts[0], parts[1], parts[2], parts[3] if len(parts) == 4 else "")
