"""The examples of these guide pages are configurations that load."""

import re
import tomllib
from pathlib import Path

import pytest

from cnc_bridge.config import parse

PAGES = Path(__file__).parents[3] / "docs" / "guide" / "machines"


@pytest.mark.parametrize("page", ["modbus", "siemens-s7", "contacts-gpio", "fanuc", "heidenhain"])
def test_the_example_of_the_page_loads(page: str) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (PAGES / f"{page}.md").read_text(encoding="utf-8"), re.DOTALL)
    whole = [block for block in blocks if block.startswith("[machine]")]
    assert whole, "no complete example"
    for block in whole:
        parse(tomllib.loads(block))
    head = whole[0].partition("[driver.")[0]
    for fragment in blocks:
        if fragment.startswith("[[driver.rules]]"):
            parse(tomllib.loads(whole[0] + fragment))
        elif not fragment.startswith("[machine]"):
            parse(tomllib.loads(head + fragment))


@pytest.mark.parametrize("page", sorted(page.stem for page in PAGES.glob("*.md")))
def test_every_machine_page_begins_with_an_example_that_loads(page: str) -> None:
    first, *_ = re.findall(r"```toml\n(.*?)```", (PAGES / f"{page}.md").read_text(encoding="utf-8"), re.DOTALL)
    parse(tomllib.loads(first))
