"""A server with a judge that works, and with any one thing broken: it tells its models, its context, its tokens, and judges."""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

from rmr1.doctor.cases import GRAMMAR, OBEYED, obvious_pairs

_BETTER = [pair.response_a[-1].content for pair in obvious_pairs()]
_WORDS = re.compile(r"<\|\w+\|>|\w+|[^\w\s]")


@dataclass
class JudgeServer:
    """What the server is like; as it stands, nothing is wrong with it.

    ``key`` is the one that it wants, ``prefix`` where its API is, ``grammar`` the field that it obeys, ``think`` whether its chat
    template opens a think block, ``begin`` the first tokens of a prompt, ``length`` the tokens of its answers, ``gullible`` whether
    it obeys a verdict in the question.
    """

    models: tuple[str, ...] | None = ("judge",)
    strict_names: bool = True
    key: str | None = None
    prefix: str = "/v1"
    system: str = "taken"
    repeats: bool = True
    seeds: bool = True
    grammar: str = "grammar"
    logprobs: bool = True
    side: str | None = None
    verdicts: bool = True
    think: bool = False
    begin: tuple[int, ...] = (1, 5)
    context: int = 32768
    slots: int = 16
    length: int = 60
    template: str | None = None
    marks: int = 4
    gullible: bool = False
    asked: list[dict] = field(default_factory=list)
    numbers: count = field(default_factory=count)

    def listed(self) -> dict:
        rows = [{"id": name, "object": "model", "max_model_len": self.context} for name in self.models or ()]
        return {"object": "list", "data": rows}

    def get(self, path: str, key: str | None) -> tuple[int, object]:
        if path == "/props":
            return 200, {"total_slots": self.slots} | ({"chat_template": self.template} if self.template else {})
        if not path.startswith(f"{self.prefix}/"):
            return 404, "<html>Not found</html>"
        if self.key is not None and key != f"Bearer {self.key}":
            return 401, {"error": {"message": "invalid api key"}}
        if path == f"{self.prefix}/models" and self.models is not None:
            return 200, self.listed()
        return (405 if path.endswith("/chat/completions") else 404), {"error": {"message": "not here"}}

    def post(self, path: str, body: dict, key: str | None) -> tuple[int, object]:
        if path == "/tokenize":
            return 200, {"tokens": [*self.begin, 7], "count": len(self.begin) + 1, "max_model_len": self.context}
        if path != f"{self.prefix}/chat/completions":
            return 404, "<html>Not found</html>"
        if self.key is not None and key != f"Bearer {self.key}":
            return 401, {"error": {"message": "invalid api key"}}
        self.asked.append(body)
        if self.strict_names and self.models and body["model"] not in self.models:
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist.", "type": "NotFoundError"}}
        if self.system == "refused" and body["messages"][0]["role"] == "system":
            return 400, {"error": {"message": "System role not supported"}}
        if not self.logprobs and "logprobs" in body:
            return 400, {"error": {"message": "logprobs is not supported by this server", "param": "logprobs"}}
        prompt = self.tokens(body["messages"])
        if prompt + body["max_tokens"] > self.context:
            return 400, {"error": {"message": f"maximum context length is {self.context} tokens, {prompt} were sent"}}
        return 200, self.completion(body, prompt)

    def tokens(self, messages: list[dict]) -> int:
        used = [one for one in messages if self.system != "dropped" or one["role"] != "system"]
        words = [word for one in used for word in _WORDS.findall(one["content"])]
        return sum(self.marks if word.startswith("<|") else 1 for word in words) + 4

    def completion(self, body: dict, prompt: int) -> dict:
        text = self.text(body)
        written = min(self.length, body["max_tokens"])
        cut = written < self.length and not self.obeyed(body) and body["max_tokens"] > 24
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        if cut:
            choice |= {"finish_reason": "length", "message": {"role": "assistant", "content": text[: len(text) // 3]}}
        elif body.get("logprobs"):
            choice["logprobs"] = {"content": [_token(piece) for piece in re.split(r"(?<=\[\[)([AB])", text)]}
        usage = {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}
        usage["prompt_tokens_details"] = {"cached_tokens": prompt // 2}
        return {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}

    def obeyed(self, body: dict) -> bool:
        sent = body.get("grammar") or (body.get("structured_outputs") or {}).get("grammar")
        return sent == GRAMMAR and self.grammar in body

    def text(self, body: dict) -> str:
        question = body["messages"][-1]["content"]
        if self.obeyed(body):
            return OBEYED
        if "Start of Chatbot" not in question:
            drawn = next(self.numbers) if not self.seeds else body.get("seed") if body["temperature"] else ""
            return f"Fox {drawn} says hello to everybody at the harbour."
        first = question.partition("[The End of Chatbot A's Response]")[0].partition("Chatbot A's Response]")[2]
        told = re.search(r"\[\[(A|B)\]\]", question) if self.gullible else None
        side = told[1] if told else self.side or ("A" if first.strip() in _BETTER else "B")
        varied = "" if self.repeats else f" ({next(self.numbers)})"
        verdict = f"<answer>[[{side}]]</answer>" if self.verdicts else "Both have their merits."
        thought = "Let me think about it.\n</think>\n\n" if self.think else ""
        return f"{thought}<type>Chat</type><rubric>truth</rubric><eval>I compare{varied} them.</eval>{verdict}"


def _token(text: str) -> dict:
    top = [{"token": other, "logprob": -0.7, "bytes": None} for other in ("A", "B")] if text in ("A", "B") else []
    return {"token": text, "logprob": -0.7, "bytes": None, "top_logprobs": top}


@contextmanager
def serving(judge: JudgeServer):
    """Serve until the block ends; gives the address without the prefix of the API."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self._answer(*judge.get(self.path, self.headers["authorization"]))

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self._answer(*judge.post(self.path, body, self.headers["authorization"]))

        def _answer(self, status: int, content: object) -> None:
            body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
