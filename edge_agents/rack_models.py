"""Models that a centre rolls out: fetched, checked against the agent's key, kept beside the outbox.

A version is one ZIP with the files of `vision/models` under their own names (`FILES`): the detector, the slot judge, or
both, each with its ``.json`` sheet. Its signature lies beside it, at the same path with ``.sig`` behind: the 64 bytes
of an Ed25519 signature (RFC 8032) of the ZIP's SHA-256 (its 32 bytes), raw or as text in hexadecimal. The public key is
a PEM file that a person put on the agent; no command can change it.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from contracts.control import SetRackModel
from edge_agents.centre_http import CentreHttp, CentreUnavailableError
from edge_agents.files import sync_folder, write_durably

_log = logging.getLogger(__name__)

MAX_BYTES: Final = 64 * 1024 * 1024
DETECTOR, JUDGE = "hand-detector.onnx", "slot-judge.onnx"
NCNN = "hand-detector.ncnn"
FILES: Final = (DETECTOR, NCNN, "hand-detector.json", JUDGE, "slot-judge.json")
"""What a version may hold; a model without its sheet is refused when it is tried."""


class ModelRefusedError(Exception):
    """The text is French, for the person who asked."""


class Model(msgspec.Struct, frozen=True):
    """A version that is in use on this agent, unpacked into the folder `path`."""

    path: str
    version: str = ""
    sha256: str = ""

    def file(self, name: str) -> str | None:
        """Its detector or judge; None: the program's own."""
        path = Path(self.path) / name
        return str(path) if path.exists() else None


def pack(folder: Path) -> bytes:
    """The ZIP of a version, from a folder with its `FILES`: the same bytes for the same files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in FILES:
            if (folder / name).is_file():
                archive.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


class Models:
    """The models of one rack, in a folder of its own."""

    def __init__(self, folder: Path, centre: CentreHttp, key_file: Path | None, *, unsigned: bool = False) -> None:
        """`unsigned`: the configuration lets models in that nobody signed."""
        self._folder = folder
        self._centre = centre
        self._key_file = key_file
        self._unsigned = unsigned

    async def fetch(self, command: SetRackModel) -> Model:
        """The model, checked, on this disk. Raises ModelRefusedError."""
        if not 0 < command.size <= MAX_BYTES:
            raise ModelRefusedError(f"Le modèle annoncé fait {command.size} octets : {MAX_BYTES} au plus.")
        if len(command.sha256) != 64 or not all(c in "0123456789abcdef" for c in command.sha256):
            raise ModelRefusedError("Modèle refusé : son empreinte SHA-256 manque.")
        try:
            content = await self._centre.fetch(command.path, command.sha256, command.size)
            if not self._unsigned:
                await self._check(content, command.path)
            path = self._folder / command.sha256
            await asyncio.to_thread(_unpack, content, path)
        except CentreUnavailableError as error:
            raise ModelRefusedError(str(error)) from error
        except OSError as error:
            raise ModelRefusedError(f"Le modèle ne peut pas être enregistré ici : {error}") from error
        return Model(str(path), command.version, command.sha256)

    def forget_all_but(self, kept: list[Model | None]) -> None:
        """Remove versions that nobody would go back to."""
        names = {Path(model.path).name for model in kept if model is not None}
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if path.name not in names:
                shutil.rmtree(path, ignore_errors=True)

    async def _check(self, content: bytes, path: str) -> None:
        if self._key_file is None:
            raise ModelRefusedError(
                "Modèle refusé : cet agent n'a pas de clé publique. Donner `model_key` dans la section [[rack]]."
            )
        try:
            pem = await asyncio.to_thread(self._key_file.read_bytes)
            key = load_pem_public_key(pem)
        except (OSError, ValueError) as error:
            raise ModelRefusedError(f"Clé publique illisible ({self._key_file.name}) : {error}") from error
        if not isinstance(key, Ed25519PublicKey):
            raise ModelRefusedError(f"{self._key_file.name} n'est pas une clé Ed25519.")
        try:
            signature = _raw(await self._centre.get(f"{path}.sig", 256))
        except CentreUnavailableError as error:
            if not error.status:
                raise
            raise ModelRefusedError(f"Modèle refusé : il n'est pas signé (réponse {error.status}).") from error
        try:
            key.verify(signature, hashlib.sha256(content).digest())
        except InvalidSignature as error:
            raise ModelRefusedError("Modèle refusé : sa signature n'est pas celle de notre clé.") from error


def _raw(signature: bytes) -> bytes:
    if len(signature) == 64:
        return signature
    try:
        return bytes.fromhex(signature.decode("ascii"))
    except ValueError:
        return b""


def _unpack(content: bytes, folder: Path) -> None:
    """All files of a version, durably. Raises ModelRefusedError, OSError."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            strange = [entry.filename for entry in entries if entry.filename not in FILES]
            if strange or not entries:
                raise ModelRefusedError(f"Modèle refusé : contenu inattendu ({', '.join(strange)[:80] or 'vide'}).")
            if sum(entry.file_size for entry in entries) > 2 * MAX_BYTES:
                raise ModelRefusedError("Modèle refusé : bien trop grand une fois décompressé.")
            partial = folder.with_name(folder.name + ".part")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            for entry in entries:
                write_durably(partial / entry.filename, archive.read(entry))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ModelRefusedError(f"Modèle refusé : ce n'est pas un ZIP de modèles ({error}).") from error
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)
    sync_folder(folder.parent)
