"""The centre's HTTP for racks alone: keeps pairs and pictures, gives descriptions and models; in a thread."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


class RackCentreHttp:
    """`down` answers nothing but 503, as a centre that is being updated; `stop` and `start` take its port away."""

    def __init__(self) -> None:
        self.crops: dict[str, dict[str, Any]] = {}
        self.pictures: list[tuple[str, bytes]] = []
        self.files: dict[str, bytes] = {}
        self.down = False
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = store.files.get(self.path)
                self._answer(200 if content is not None else 404, content or b"")

            def do_PUT(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                if store.down:
                    self._answer(503)
                    return
                name = self.path.rpartition("/")[2]
                if self.path.startswith("/api/racks/crops/"):
                    store.crops[name] = msgspec.msgpack.decode(content)
                else:
                    store.pictures.append((self.path, content))
                self._answer(201)

            def _answer(self, status: int, content: bytes = b"") -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: Any) -> None: ...

        self._handler = Handler
        self._port = 0
        self.start()
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def keep(self, path: str, content: bytes) -> dict[str, Any]:
        """Give `content` at `path`; what a command says of it."""
        self.files[path] = content
        return {"path": path, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
