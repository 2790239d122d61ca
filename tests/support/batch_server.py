"""A local server with OpenAI's files and batches, whose batches end after a number of looks at them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def completion(text: str, finish: str = "stop") -> dict:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}


class Provider:
    """What the server knows. ``reply(body)`` gives a text, or an integer status that the request fails with.

    Attributes:
        looks: So many looks at a batch find it under way.
        ends_as: The status with which batches end.
        words: What it says about requests that fail; by default, their status.
        lose_answer: The next batch is made, but its maker never hears of it.
        asked: The bodies of all requests in all batches, in the order in which they came.
    """

    def __init__(self, reply: Callable[[dict], str | int]) -> None:
        self.reply = reply
        self.looks = 1
        self.ends_as = "completed"
        self.lose_answer = False
        self.words: str | None = None
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict] = {}
        self.asked: list[dict] = []
        self.lock = threading.Lock()

    def create(self, request: dict) -> dict:
        name = f"batch_{len(self.batches)}"
        lines = [json.loads(line) for line in self.files[request["input_file_id"]].splitlines()]
        assert len({line["custom_id"] for line in lines}) == len(lines)
        assert {(line["method"], line["url"]) for line in lines} == {("POST", "/v1/chat/completions")}
        self.asked += [line["body"] for line in lines]
        self.batches[name] = {
            "id": name, "object": "batch", "endpoint": request["endpoint"], "completion_window": "24h", "created_at": 0,
            "input_file_id": request["input_file_id"], "status": "in_progress", "metadata": request["metadata"],
            "looks": 0, "lines": lines,
        }  # fmt: skip
        return self.shown(name)

    def look(self, name: str) -> dict:
        batch = self.batches[name]
        batch["looks"] += 1
        if batch["looks"] > self.looks and batch["status"] == "in_progress":
            self._end(batch)
        return self.shown(name)

    def shown(self, name: str) -> dict:
        return {key: value for key, value in self.batches[name].items() if key not in ("looks", "lines")}

    def _end(self, batch: dict) -> None:
        answers, errors = [], []
        for line in reversed(batch["lines"]):
            reply = self.reply(line["body"])
            if isinstance(reply, int):
                response = {"status_code": reply, "body": {"error": {"message": self.words or f"asked for {reply}"}}}
                errors.append({"custom_id": line["custom_id"], "response": response, "error": None})
            else:
                response = {"status_code": 200, "body": completion(reply)}
                answers.append({"custom_id": line["custom_id"], "response": response, "error": None})
        batch["status"] = self.ends_as
        if self.ends_as == "failed":
            batch["errors"] = {"object": "list", "data": [{"code": "x", "message": "no such model"}]}
            return
        if self.ends_as == "expired":
            answers = answers[: len(answers) // 2]
        for kind, lines in (("output", answers), ("error", errors)):
            if lines:
                file = f"{kind}_{batch['id']}"
                # A line separator of Unicode inside a line is no end of it.
                self.files[file] = b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in lines)
                batch[f"{kind}_file_id"] = file


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            with provider.lock:
                parts = self.path.partition("?")[0].strip("/").split("/")
                if parts[0] == "files":
                    self._answer(provider.files[parts[1]], "application/octet-stream")
                elif len(parts) == 2:
                    self._answer(provider.look(parts[1]))
                else:
                    data = [provider.shown(name) for name in reversed(provider.batches)]
                    self._answer({"object": "list", "data": data, "has_more": False})

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            with provider.lock:
                if self.path == "/files":
                    name = f"file_{len(provider.files)}"
                    boundary = self.headers["content-type"].partition("boundary=")[2].encode()
                    parts = [part.partition(b"\r\n\r\n") for part in body.split(b"--" + boundary)]
                    (content,) = [part for head, _, part in parts if b"filename=" in head]
                    provider.files[name] = content.removesuffix(b"\r\n")
                    self._answer({"id": name, "object": "file", "bytes": len(content), "created_at": 0,
                                  "filename": "requests.jsonl", "purpose": "batch", "status": "processed"})  # fmt: skip
                    return
                made = provider.create(json.loads(body))
                if provider.lose_answer:
                    provider.lose_answer = False
                    self.close_connection = True
                    return
                self._answer(made)

        def _answer(self, content, kind="application/json"):
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    return Handler


@contextmanager
def serving(provider: Provider):
    """The address of a server that works for this provider."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(provider))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
