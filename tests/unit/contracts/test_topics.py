from __future__ import annotations

import pytest

from contracts import topics


def test_an_agents_topics_are_split_back() -> None:
    assert topics.parse(topics.facts("atelier", "pi-1")) == ("atelier", "pi-1", "facts", "")
    assert topics.parse(topics.command("atelier", "pi-1", "resend")) == ("atelier", "pi-1", "cmd", "resend")


@pytest.mark.parametrize(
    "topic",
    [
        "copeau/v1/atelier",
        "copeau/v2/a/b/facts",
        "copeau/v1/a/@centre/presence",
        "copeau/v1/A/b/facts",
        "x",
        "copeau/v1/a/b/x",
    ],
)
def test_other_topics_are_not_an_agents(topic: str) -> None:
    assert topics.parse(topic) is None


def test_one_access_pattern_covers_what_an_agent_writes() -> None:
    for channel in (topics.facts, topics.samples, topics.state):
        assert channel("s", "a").startswith("copeau/v1/s/a/")
