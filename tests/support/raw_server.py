"""A local server that answers every chat request with whatever bytes a test wants: good, odd, slow, endless or none."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "<type>Chat</type><rubric>short</rubric><eval>A is fine.</eval><answer>[[A]]</answer>"


@dataclass
class Raw:
    """An answer: its status, its body (or its pieces, ``pause_s`` after one another), and headers."""

    body: object = b""
    status: int = 200
    pieces: Iterable[bytes] | None = None
    pause_s: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def completion(text: object = TEXT, finish: object = "stop", **changes: object) -> dict:
    """A chat completion as OpenAI's documentation shows it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    return whole | changes


def error(message: str, **more: object) -> dict:
    return {"error": {"message": message, **more}}


def _handler(
    reply: Callable[[dict], Raw], asked: list[dict], get: Callable[[str], Raw]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append(request)
            self.server.headers_seen.append(dict(self.headers))
            self.server.paths.append(self.path)
            raw = reply(request)
            try:
                self._send(raw)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def do_GET(self):
            self.server.headers_of_gets.append(dict(self.headers))
            self._send(get(self.path))

        def _send(self, raw: Raw) -> None:
            self.send_response(raw.status)
            for name, value in raw.headers.items():
                self.send_header(name, value)
            if raw.pieces is None:
                self.send_header("content-length", str(len(raw.content)))
                self.end_headers()
                self.wfile.write(raw.content)
                return
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True
            for piece in raw.pieces:
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(raw.pause_s)

        def log_message(self, *_):
            pass

    return Handler


@dataclass
class Serving:
    """A server at work: its address, and what it was asked."""

    address: str
    asked: list[dict]
    server: ThreadingHTTPServer

    @property
    def paths(self) -> list[str]:
        return self.server.paths

    @property
    def headers(self) -> list[dict]:
        return self.server.headers_seen

    @property
    def headers_of_gets(self) -> list[dict]:
        return self.server.headers_of_gets


@contextmanager
def answering(reply: Callable[[dict], Raw], get: Callable[[str], Raw] = lambda path: Raw({}, 404)):
    """Serve until the block ends; ``reply`` gets each request's body, ``get`` the path of what is only looked up."""
    asked: list[dict] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(reply, asked, get))
    server.daemon_threads = True
    server.headers_seen, server.headers_of_gets, server.paths = [], [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Serving(f"http://127.0.0.1:{server.server_address[1]}/v1", asked, server)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
