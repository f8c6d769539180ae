"""Our own small rules, each for a mistake that could come back. Prints file:line and the rule; exit 1 on any."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Rule(NamedTuple):
    pattern: re.Pattern[str]
    files: re.Pattern[str]
    except_files: re.Pattern[str]
    says: str


_NEVER = re.compile(r"(?!)")
_CODE = r"^(contracts|vision|cnc_bridge|edge_agents|central|copeau)/.*\.py$"
RULES = (
    Rule(
        re.compile(
            r"""(src|href|url|from|import)\s*[=(]?\s*["'(]?(https?:)?//(?!127\.0\.0\.1|localhost|www\.w3\.org)"""
        ),
        re.compile(r"^central/ui/(templates|static)/.*\.(html|css|js|mjs|svg|json|webmanifest)$"),
        re.compile(r"^central/ui/static/vendor/"),
        "a page asks no other host for anything: fetch it at set-up",
    ),
    Rule(
        re.compile(r"datetime\.(now|utcnow)\(\s*\)|utcfromtimestamp|datetime\.fromtimestamp\([^,]*\)$"),
        re.compile(_CODE),
        _NEVER,
        "times are aware: datetime.now(UTC), or the clock that was passed in",
    ),
    Rule(
        re.compile(r"\bdatetime\.now\("),
        re.compile(r"^central/.*(rules|service|consumers)\.py$"),
        _NEVER,
        "the clock is passed in: uow.now",
    ),
    Rule(
        re.compile(r"^\s*print\("),
        re.compile(r"^(contracts|vision|cnc_bridge|edge_agents|central)/.*\.py$"),
        _NEVER,
        "a service logs, it does not print",
    ),
    Rule(
        re.compile(r"except\s*(Exception|BaseException)?\s*:\s*(pass|\.\.\.)?$"),
        re.compile(r"^(contracts|vision|cnc_bridge|edge_agents|central|copeau)/.*rules\.py$"),
        _NEVER,
        "a rule swallows nothing",
    ),
    Rule(
        re.compile(r"asyncio\.wait_for\("),
        re.compile(r"^(contracts|vision|cnc_bridge|edge_agents|central|copeau|bench)/.*\.py$"),
        _NEVER,
        "Python 3.11's wait_for can swallow a cancellation and hang who waits: async with asyncio.timeout(…)",
    ),
    Rule(
        re.compile(r"\b(imwrite|\.save\(|write_bytes\()"),
        re.compile(r"^(edge_agents|central)/.*\.py$"),
        re.compile(r"^(edge_agents/retention|central/stock/evidence)\.py$"),
        "an image is written by the retention module only",
    ),
)


def main() -> int:
    listing = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)  # noqa: S607  # nosec B603, B607  # git is on PATH
    found = 0
    for name in listing.stdout.splitlines():
        rules = [r for r in RULES if r.files.search(name) and not r.except_files.search(name)]
        if not rules or not Path(name).exists():
            continue
        for number, line in enumerate(Path(name).read_text(encoding="utf-8").splitlines(), 1):
            for rule in rules:
                if rule.pattern.search(line):
                    found += 1
                    sys.stdout.write(f"{name}:{number}: {rule.says}\n    {line.strip()}\n")
    undeclared = _undeclared()
    sys.stdout.write(undeclared)
    return 1 if found or undeclared else 0


def _undeclared() -> str:
    """The routes that do not say who may use them; empty when all do. A centre with one does not start."""
    from central.app import create_app
    from central.core.access import UndeclaredRouteError
    from central.core.settings import Settings

    try:
        create_app(Settings(database_url="sqlite://"))
    except UndeclaredRouteError as error:
        return f"{error}\n"
    return ""


if __name__ == "__main__":
    sys.exit(main())
