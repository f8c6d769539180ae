"""``make audit``: our own code read by bandit, and what we install asked for known vulnerabilities.

Without a network it says so and fails nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

_PATIENCE_S = 60
_AWAY = (
    *("connection", "network", "timed out", "enotfound", "econn", "eai_again", "max retries", "not implemented"),
    *("endpoint returned an error", "method not allowed"),
)
UI = Path("central/ui")
OURS = ("contracts", "vision", "cnc_bridge", "edge_agents", "central", "copeau", "bench", "scripts")


def main() -> int:
    """0: nothing found, nothing known, or nobody to ask; 1: something is."""
    found = bandit()
    for name, command, folder in (
        (
            "pip-audit",
            [sys.executable, "-m", "pip_audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip"],
            ".",
        ),
        ("npm audit", ["npm", "audit", "--package-lock-only"], str(UI)),
    ):
        if shutil.which(command[0]) is None:
            say(f"{name}: not here, left out")
            continue
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)  # nosec B603  # fixed words
        except subprocess.TimeoutExpired:
            say(f"{name}: no answer in {_PATIENCE_S} s, left out")
            continue
        said = done.stdout + done.stderr
        unasked = said.count("could not be audited")
        if done.returncode == 0:
            say(f"{name}: nothing known" + (f", but nobody could be asked about {unasked} packages" if unasked else ""))
        elif "No module named pip_audit" in said:
            say(f"{name}: not installed (pip install pip-audit), left out")
        elif "vulnerabilit" not in done.stdout.lower() and any(word in said.lower() for word in _AWAY):
            say(f"{name}: nobody to ask (no network), left out")
        else:
            found = 1
            say(f"{name}:\n{said.strip()}")
    return found


def bandit() -> int:
    """Every finding from the lowest severity on; exceptions stand in pyproject.toml and beside their lines."""
    command = [sys.executable, "-m", "bandit", "--quiet", "--configfile", "pyproject.toml", "--recursive", *OURS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # nosec B603  # fixed words
    if "No module named bandit" in done.stderr:
        say("bandit: not installed (pip install bandit), left out")
        return 0
    # its warnings on stderr are of exceptions for which it had nothing to say in one of its passes
    say("bandit: nothing found" if done.returncode == 0 else f"bandit:\n{(done.stdout or done.stderr).strip()}")
    return done.returncode


def say(text: str) -> None:
    sys.stdout.write(f"  {text}\n")


if __name__ == "__main__":
    sys.exit(main())
