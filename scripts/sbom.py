"""``make sbom``: the bill of materials as CycloneDX 1.6, from what is installed and from the page files' lockfile.

No tool of its own: `importlib.metadata` knows what runs here, ``package-lock.json`` what the pages load.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

LOCK = Path("central/ui/package-lock.json")


def main(target: str = "build/sbom.cdx.json") -> int:
    parts = sorted([*installed(), *page_files()], key=lambda part: str(part["bom-ref"]))
    own = metadata.version("copeau")
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "component": {
                "type": "application", "bom-ref": f"pkg:pypi/copeau@{own}", "name": "copeau", "version": own,
                "purl": f"pkg:pypi/copeau@{own}", "licenses": [{"license": {"id": "AGPL-3.0-or-later"}}],
            },
        },
        "components": parts,
        "dependencies": [{"ref": f"pkg:pypi/copeau@{own}", "dependsOn": [part["bom-ref"] for part in parts]}],
    }  # fmt: skip
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(f"  {path}: {len(parts)} components\n")
    return 0


def installed() -> Iterator[dict[str, Any]]:
    """Every distribution of this environment but our own."""
    seen: set[str] = set()
    for found in metadata.distributions():
        name = found.metadata["Name"].lower().replace("_", "-")
        if name == "copeau" or name in seen:
            continue
        seen.add(name)
        purl = f"pkg:pypi/{quote(name)}@{quote(found.version)}"
        part: dict[str, Any] = {
            "type": "library", "bom-ref": purl, "name": name, "version": found.version, "purl": purl,
        }  # fmt: skip
        said = found.metadata.get("License-Expression")
        if said:
            part["licenses"] = [{"expression": said}]
        elif (text := (found.metadata.get("License") or "").strip()) and len(text) < 60:
            part["licenses"] = [{"license": {"name": text}}]
        yield part


def page_files() -> Iterator[dict[str, Any]]:
    """What npm brings into the pages, with its hash."""
    for place, found in json.loads(LOCK.read_text(encoding="utf-8"))["packages"].items():
        if not place:
            continue
        name = place.rpartition("node_modules/")[2]
        purl = f"pkg:npm/{quote(name)}@{found['version']}"
        part: dict[str, Any] = {
            "type": "library", "bom-ref": purl, "name": name, "version": found["version"], "purl": purl,
        }  # fmt: skip
        if found.get("license"):
            part["licenses"] = [{"expression": found["license"]}]
        yield part


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
