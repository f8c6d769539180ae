"""The centre asks nobody: no address that a person or a device gives is ever fetched from it (SSRF)."""

from __future__ import annotations

import ast
from pathlib import Path

import central

_CLIENTS = {
    "aiohttp",
    "ftplib",
    "http.client",
    "httpx",
    "requests",
    "smtplib",
    "urllib.request",
    "urllib3",
    "websockets",
}


def test_no_module_of_the_centre_holds_a_client() -> None:
    found = []
    for file in Path(central.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
            else:
                continue
            found += [f"{file}: {name}" for name in names & _CLIENTS]
    assert found == []
