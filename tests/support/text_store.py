"""The centre's texts for agents alone: a small HTTP server that keeps what it is brought, in a thread."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class TextStore:
    """``GET`` and ``PUT`` below `path`. `spoil` makes it give something else than what was asked."""

    path = "/api/programmes/blobs"

    def __init__(self) -> None:
        self.texts: dict[str, bytes] = {}
        self.puts: list[str] = []
        self.spoil = False
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = store.texts.get(self.path.rpartition("/")[2])
                self.send_response(200 if content is not None else 404)
                self.end_headers()
                self.wfile.write((content or b"")[::-1] if store.spoil else content or b"")

            def do_PUT(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                digest = self.path.rpartition("/")[2]
                store.puts.append(digest)
                same = hashlib.sha256(content).hexdigest() == digest
                if same:
                    store.texts[digest] = content
                self.send_response(201 if same else 422)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def keep(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.texts[digest] = content
        return digest

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
