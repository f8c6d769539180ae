"""The centre over HTTP: what is too large for a fact is fetched from it, and brought to it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
from pathlib import Path
from typing import Final

import httpx

_log = logging.getLogger(__name__)

_HTTP_S: Final = 30.0


class CentreUnavailableError(Exception):
    """The centre did not give, or take, something. The text is French; `status` is its answer, 0 for none."""

    def __init__(self, french: str, status: int = 0) -> None:
        super().__init__(french)
        self.status = status


class CentreHttp:
    """The centre's pages at one address."""

    def __init__(
        self, base: str, ca: Path | None = None, *, identity: Path | None = None, patience_s: float = _HTTP_S
    ) -> None:
        """`ca`: of a centre whose certificate the shop made itself. `identity`: our key and certificate, PEM."""
        self.base = base.rstrip("/")
        self._ca = ca
        self._identity = identity
        self._shown = 0
        self._patience_s = patience_s
        self._trust: ssl.SSLContext | None = None

    def client(self) -> httpx.AsyncClient:
        if self._trust is None:  # reading the certificates takes a tenth of a second on a Pi: once
            self._trust = ssl.create_default_context(cafile=self._ca)
        self._show_identity()
        return httpx.AsyncClient(timeout=self._patience_s, verify=self._trust, trust_env=False)  # in the shop: no proxy

    def address(self, path: str) -> str:
        """Always the centre's own: a command can name a path, no other host."""
        return f"{self.base}/{path.lstrip('/')}"

    def _show_identity(self) -> None:
        """The certificate that is on disk now: it is renewed while this process runs."""
        if self._identity is None or self._trust is None:
            return
        try:
            changed = self._identity.stat().st_mtime_ns
            if changed != self._shown:
                self._trust.load_cert_chain(self._identity)
                self._shown = changed
        except (OSError, ssl.SSLError) as error:
            _log.error("%s cannot be shown to the centre: %s", self._identity, error)

    async def fetch(self, path: str, sha256: str, size: int) -> bytes:
        """What has that hash and size. Raises CentreUnavailableError."""
        content = await self.get(path, size)
        if len(content) != size or await asyncio.to_thread(_sha256, content) != sha256:
            raise CentreUnavailableError("Le fichier reçu n'est pas celui qui était annoncé.")
        return content

    async def get(self, path: str, at_most: int) -> bytes:
        """The first `at_most` bytes, and one more where there is more. Raises CentreUnavailableError."""
        found = bytearray()
        try:
            async with self.client() as client, client.stream("GET", self.address(path)) as reply:
                if reply.status_code != httpx.codes.OK:
                    said = f"Le centre n'a pas donné le fichier (réponse {reply.status_code})"
                    raise CentreUnavailableError(f"{said} : l'y charger de nouveau.", reply.status_code)
                async for piece in reply.aiter_bytes():
                    found += piece
                    if len(found) > at_most:
                        break
        except httpx.HTTPError as error:
            raise self.unreachable() from error
        return bytes(found[: at_most + 1])

    async def put(self, path: str, content: bytes, kind: str, client: httpx.AsyncClient | None = None) -> None:
        """Bring it. Raises CentreUnavailableError."""
        try:
            headers = {"content-type": kind}
            if client is not None:
                self._show_identity()
                reply = await client.put(self.address(path), content=content, headers=headers)
            else:
                async with self.client() as own:
                    reply = await own.put(self.address(path), content=content, headers=headers)
        except httpx.HTTPError as error:
            raise self.unreachable() from error
        if not reply.is_success:
            said = f"Le centre n'a pas pris le fichier (réponse {reply.status_code})."
            raise CentreUnavailableError(said, reply.status_code)

    def unreachable(self) -> CentreUnavailableError:
        return CentreUnavailableError(
            f"Le centre ne répond pas à l'adresse {self.base} : vérifier `http` dans la section [centre] de l'agent."
        )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
