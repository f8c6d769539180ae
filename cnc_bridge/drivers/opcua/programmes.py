"""CN programmes over OPC UA: a FileDirectoryType folder and its FileType files (OPC 10000-20)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.object_ids import ObjectIds

from cnc_bridge.drivers.opcua.browsing import Limits, children, read_values, with_subtypes
from cnc_bridge.drivers.opcua.values import node_number, plain, raw_value, utc
from cnc_bridge.port import DriverFaultError, ProgrammeFile

_FILE_TYPE = node_number(ObjectIds.FileType)
_CHUNK = 32 * 1024
"""Bytes a request, where the file does not say less."""
_READ, _WRITE, _ERASE = 1, 2, 4
_MAX_NAME = 120
_METHODS = {
    "Open": ObjectIds.FileType_Open,
    "Close": ObjectIds.FileType_Close,
    "Read": ObjectIds.FileType_Read,
    "Write": ObjectIds.FileType_Write,
    "CreateFile": ObjectIds.FileDirectoryType_CreateFile,
}


@dataclass(frozen=True, slots=True)
class _Entry:
    """An object and its parts (methods, properties) by browse name."""

    node_id: ua.NodeId
    parts: dict[str, ua.NodeId]

    def method(self, name: str) -> ua.NodeId:
        return self.parts.get(name) or node_number(_METHODS[name])


class Programmes:
    """The programmes of one folder, over a running session."""

    def __init__(self, client: Client, folder: ua.NodeId, limits: Limits) -> None:
        self._client = client
        self._folder = folder
        self._limits = limits

    async def listing(self) -> list[ProgrammeFile]:
        """The files, by name; folders below are not looked into. Raises UaError."""
        files = await self._files()
        known = [(entry.parts.get("Size"), entry.parts.get("LastModifiedTime")) for entry in files.values()]
        asked = [node for pair in known for node in pair if node is not None]
        values = dict(zip(asked, await read_values(self._client, asked, self._limits), strict=True))
        listed = []
        for name, (size, changed) in zip(files, known, strict=True):
            bytes_ = raw_value(values[size]) if size is not None else None
            time = raw_value(values[changed]) if changed is not None else None
            listed.append(
                ProgrammeFile(
                    name,
                    bytes_ if isinstance(bytes_, int) else None,
                    utc(time) if isinstance(time, datetime) else None,
                )
            )
        return sorted(listed, key=lambda each: each.name)

    async def read(self, name: str) -> bytes:
        """One file, whole. Raises UaError, DriverFaultError (`no_programme`, `bad_name`)."""
        entry = (await self._files()).get(checked(name))
        if entry is None:
            raise DriverFaultError(
                "no_programme",
                f"there is no programme {name!r} in the controller",
                f"Le programme « {name} » n'est pas dans la commande.",
            )
        size = await self._chunk(entry)
        handle = await self._open(entry, _READ)
        content = bytearray()
        try:
            while True:
                (part,) = await self._call(entry, "Read", handle, ua.Variant(size, ua.VariantType.Int32))
                if not part:
                    return bytes(content)
                content += part
        finally:
            await self._call(entry, "Close", handle)

    async def write(self, name: str, content: bytes) -> None:
        """Put a file there, in place of one of that name. Raises UaError, DriverFaultError (`bad_name`)."""
        entry = (await self._files()).get(checked(name))
        if entry is None:
            entry = await self._create(name)
        size = await self._chunk(entry)
        handle = await self._open(entry, _WRITE | _ERASE)
        try:
            for start in range(0, len(content), size):
                part = ua.Variant(content[start : start + size], ua.VariantType.ByteString)
                await self._call(entry, "Write", handle, part)
        finally:
            await self._call(entry, "Close", handle)

    async def _create(self, name: str) -> _Entry:
        folder = await self._entry(self._folder)
        made = await self._call(
            folder, "CreateFile", ua.Variant(name, ua.VariantType.String), ua.Variant(False, ua.VariantType.Boolean)
        )
        return await self._entry(made[0])

    async def _files(self) -> dict[str, _Entry]:
        kinds = await with_subtypes(self._client, _FILE_TYPE, self._limits)
        (below,) = await children(self._client, [self._folder], self._limits)
        files = [each for each in below if plain(each.TypeDefinition) in kinds]
        parts = await children(self._client, [plain(each.NodeId) for each in files], self._limits)
        return {
            each.BrowseName.Name: _Entry(plain(each.NodeId), _by_name(references))
            for each, references in zip(files, parts, strict=True)
        }

    async def _entry(self, node_id: ua.NodeId) -> _Entry:
        (references,) = await children(self._client, [node_id], self._limits)
        return _Entry(node_id, _by_name(references))

    async def _chunk(self, entry: _Entry) -> int:
        """How many bytes one Read or Write may carry."""
        said = entry.parts.get("MaxByteStringLength")
        if said is None:
            return _CHUNK
        (answer,) = await read_values(self._client, [said], self._limits)
        most = raw_value(answer)
        return min(_CHUNK, most) if isinstance(most, int) and most > 0 else _CHUNK

    async def _open(self, entry: _Entry, mode: int) -> ua.Variant:
        (handle,) = await self._call(entry, "Open", ua.Variant(mode, ua.VariantType.Byte))
        return ua.Variant(handle, ua.VariantType.UInt32)

    async def _call(self, entry: _Entry, method: str, *arguments: ua.Variant) -> list[Any]:
        request = ua.CallMethodRequest(
            ObjectId=entry.node_id, MethodId=entry.method(method), InputArguments=list(arguments)
        )
        (result,) = await self._client.uaclient.session.call([request])
        result.StatusCode.check()
        return [each.Value for each in result.OutputArguments or []]


def checked(name: str) -> str:
    """`name` when it is a plain file name. Raises DriverFaultError (`bad_name`): no way leads out of the folder."""
    if not name or len(name) > _MAX_NAME or name.startswith(".") or ".." in name or set(name) & set('/\\:\0\r\n"<>|*?'):
        raise DriverFaultError(
            "bad_name",
            f"{name[:_MAX_NAME]!r} is no name of a programme",
            "Nom de programme refusé : un nom de fichier simple, sans « / » ni « .. ».",
        )
    return name


def _by_name(references: Sequence[ua.ReferenceDescription]) -> dict[str, ua.NodeId]:
    return {each.BrowseName.Name: plain(each.NodeId) for each in references}
