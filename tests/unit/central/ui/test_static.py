"""What is served: no other host, no inline script or style, readable colours, and codes checked as in Python."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.ui import words
from central.ui.poste import shell_files
from central.ui.templating import HERE, STATIC, environment
from contracts.codes import format_code

OWN = [
    path
    for path in [*STATIC.rglob("*"), *(HERE / "templates").rglob("*")]
    if path.suffix in {".js", ".css", ".html", ".svg"} and "vendor" not in path.parts
]
MODULES = STATIC / "poste"
node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_a_page_asks_no_other_host(path: Path) -> None:
    found = re.findall(r"(?:https?:)?//[\w.-]+\.\w{2,}[^\s\"')]*", path.read_text(encoding="utf-8"))
    assert [address for address in found if "www.w3.org/2000/svg" not in address] == []


@pytest.mark.parametrize("path", [p for p in OWN if p.suffix == ".html"], ids=lambda path: path.name)
def test_a_template_needs_nothing_that_the_policy_forbids(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|hx-on|hx-vals=.js:|javascript:", text)


@pytest.mark.parametrize("path", [p for p in OWN if p.suffix == ".html"], ids=lambda path: path.name)
def test_every_template_compiles(path: Path) -> None:
    environment().get_template(str(path.relative_to(HERE / "templates")))


def test_every_icon_that_a_word_names_is_drawn() -> None:
    drawn = set(re.findall(r'<symbol id="([a-z]+)"', (STATIC / "icons.svg").read_text(encoding="utf-8")))
    named = {
        word.icon
        for table in vars(words).values()
        if isinstance(table, dict)
        for word in table.values()
        if isinstance(word, words.Word)
    }
    templates = " ".join(p.read_text(encoding="utf-8") for p in OWN if p.suffix in {".html", ".js"})
    named |= set(re.findall(r"\bicon\('([a-z]+)'\)", templates))
    assert named
    assert named <= drawn


def test_the_post_keeps_all_its_own_modules_offline() -> None:
    imported = {
        name
        for module in MODULES.glob("*.js")
        for name in re.findall(r"from '\./(.+?)'", module.read_text(encoding="utf-8"))
    }
    assert imported
    assert {f"/static/poste/{name}" for name in imported} <= set(shell_files())


def _luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _palettes() -> list[dict[str, str]]:
    light, dark = (STATIC / "tokens.css").read_text(encoding="utf-8").split("prefers-color-scheme: dark")[:2]
    found = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", part)) for part in (light, dark)]
    return [found[0], found[0] | found[1]]


@pytest.mark.parametrize("palette", _palettes(), ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        *((ink, ground) for ink in ("ink", "muted", "blue") for ground in ("ground", "surface", "raised")),
        *((name, f"{name}-soft") for name in ("blue", "green", "amber", "red", "grey")),
        *(
            ("amber", "surface"),
            ("green", "surface"),
            ("on-blue", "blue"),
            ("on-blue", "blue-strong"),
            ("grey", "hatch"),
        ),
    ],
)
def test_text_stands_out_from_its_ground(palette: dict[str, str], text: str, ground: str) -> None:
    pair = sorted((_luminance(palette[text]), _luminance(palette[ground])))
    assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5


def _in_node(script: str, argument: object) -> object:
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script, json.dumps(argument)],
        capture_output=True,
        check=True,
        cwd=MODULES,
        text=True,
    )
    return json.loads(done.stdout)


@node
@settings(max_examples=5, deadline=None)
@given(st.lists(st.from_regex(r"[0-9A-Za-z./_-]{1,20}", fullmatch=True), min_size=20, max_size=60))
def test_codes_have_the_same_check_in_the_browser(identifiers: list[str]) -> None:
    script = """
      import { formatCode, parseCode } from './codes.js';
      const ids = JSON.parse(process.argv[1]);
      const codes = ids.map((id) => formatCode('OP', id));
      for (const [index, code] of codes.entries()) {
        if (parseCode(code.toLowerCase()).id !== ids[index].toUpperCase()) throw new Error(code);
      }
      console.log(JSON.stringify(codes));
    """
    assert _in_node(script, identifiers) == [format_code("OP", i) for i in identifiers]


@node
def test_the_post_shows_what_the_copy_cannot_know_yet() -> None:
    script = """
      import { operations } from './model.js';
      const [copy, facts] = JSON.parse(process.argv[1]);
      console.log(JSON.stringify(operations(copy, facts, 'p-1', 3)));
    """
    copy = {
        "operations": [
            {"code": "A", "quantity": 5, "good": 2, "scrap": 0, "status": "waiting", "clockings": []},
            {"code": "B", "quantity": 5, "good": 0, "scrap": 0, "status": "planned", "clockings": []},
        ]
    }

    def fact(seq: int, action: str, operation: str, **more: object) -> dict[str, object]:
        body = {"action": action, "operation": operation, "person": "p-1", "good": 0, "scrap": 0, **more}
        return {"seq": seq, "kind": "work.clocked", "ts": "2026-11-21T07:00:00Z", "off": 0, "body": body}

    facts = [fact(3, "start", "A", phase="run"), fact(4, "end", "A", good=3), fact(5, "start", "B", phase="setup")]
    a, b = _in_node(script, [copy, facts])  # type: ignore[misc]  # two operations
    assert (a["good"], a["status"], a["mine"], a["waiting"]) == (5, "done", None, True)
    assert (b["status"], b["mine"]["phase"], b["waiting"]) == ("running", "setup", True)
