"""The bodies of a ``multipart/x-mixed-replace`` answer, as they come. No input or output."""

from __future__ import annotations

from email.message import Message

from cnc_bridge.drivers.mtconnect.documents import BadDocumentError

_MAX_HEADERS = 4096


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type announces. Raises BadDocumentError."""
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_param("boundary") if message.get_content_maintype() == "multipart" else None
    if not isinstance(boundary, str) or not boundary:
        raise BadDocumentError(f"{content_type[:60]!r} where a multipart stream was expected")
    return boundary.encode()


class Splitter:
    """Bytes in, whole bodies out. A body longer than `limit` bytes is refused (BadDocumentError)."""

    def __init__(self, boundary: bytes, limit: int) -> None:
        self._mark = b"--" + boundary
        self._limit = limit
        self._data = bytearray()
        self._length: int | None = None
        self._inside = False
        self.ended = False
        """Whether the far side said that nothing follows."""

    def feed(self, data: bytes) -> list[bytes]:
        self._data += data
        bodies: list[bytes] = []
        while not self.ended:
            if not self._inside and not self._head():
                break
            body = self._body()
            if body is None:
                break
            bodies.append(body)
        if len(self._data) > self._limit + _MAX_HEADERS:
            raise BadDocumentError(f"a document of more than {self._limit} bytes")
        return bodies

    def _head(self) -> bool:
        """Past the boundary and the headers of the next part; whether all of them are there."""
        at = self._data.find(self._mark)
        if at < 0:
            del self._data[: -len(self._mark)]  # only line ends may come between two parts
            return False
        after = at + len(self._mark)
        if self._data[after : after + 2] == b"--":
            self.ended = True
            return False
        end, size = self._data.find(b"\r\n\r\n", after), 4
        if end < 0:
            end, size = self._data.find(b"\n\n", after), 2
        if end < 0:
            if len(self._data) - after > _MAX_HEADERS:
                raise BadDocumentError("headers of a part without an end")
            return False
        self._length = None
        for line in bytes(self._data[after:end]).splitlines():
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length" and value.strip().isdigit():
                self._length = int(value)
        if self._length is not None and self._length > self._limit:
            raise BadDocumentError(f"a document of {self._length} bytes")
        del self._data[: end + size]
        self._inside = True
        return True

    def _body(self) -> bytes | None:
        if self._length is None:
            end = self._data.find(b"\n" + self._mark)
            if end < 0:
                return None
        else:
            end = self._length
            if len(self._data) < end:
                return None
        body = bytes(self._data[:end])
        del self._data[:end]
        self._inside = False
        return body
