"""An ERP's web service on a loopback port: real HTTP, and whatever a test wants it to answer."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

Answer = tuple[int, dict[str, str], bytes]


class Request(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return str(json.loads(self.body)["id"])


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # with 5 the kernel lets many connections that come at once wait for seconds


class WebService:
    """As a context. answers: what a request gets; None: the connection is cut after the request was worked on.

    requests: all that came. taken: ids in the order in which they were answered with 2xx, or worked on and cut.
    """

    def __init__(self, tls: tuple[str, str] | None = None) -> None:
        self.answers: Callable[[Request], Answer | None] = lambda request: (204, {}, b"")
        self.requests: list[Request] = []
        self.taken: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> WebService:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Request) -> Answer | None:
        with self._lock:
            self.requests.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        answer = self.answers(request)
        with self._lock:
            self._at_once -= 1
            if answer is None or answer[0] < 300:
                self.taken.append(request.id)
        return answer

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = service.answer(Request(self.path, headers, body))
                if answer is None:
                    self.close_connection = True
                    return
                status, more, text = answer
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
