"""A local server that speaks OpenAI's chat completions and answers at once: for tests and for measuring clients.

Run it as ``python -m tests.support.openai_server``: it prints its port and serves until its standard input ends. A user turn may
hold ``!STATUS`` (such as ``!500``) to be answered with that status, once; ``!always STATUS`` is answered with it every time.
"""

import asyncio
import json
import re
import sys
from contextlib import suppress

ANSWER = "<type>Chat</type><eval>A is fine.</eval><answer>[[A]]</answer>"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ONCE = re.compile(r"!(\d{3})")
_ALWAYS = re.compile(r"!always (\d{3})")
_refused: set[str] = set()
requests: list[dict] = []
keep_requests = False


def reply(body: bytes) -> tuple[int, bytes]:
    request = json.loads(body)
    if keep_requests:
        requests.append(request)
    text = request["messages"][-1]["content"]
    status = _status(text)
    if status != 200:
        return status, json.dumps({"error": {"message": f"asked for {status}", "code": status}}).encode()
    message: dict = {"role": "assistant", "content": ANSWER}
    if "!think" in text:
        message["reasoning_content"] = "Let me see: <answer>[[B]]</answer>?"
    choice: dict = {"index": 0, "finish_reason": "length" if "!cut" in text else "stop", "message": message}
    if request.get("logprobs"):
        choice["logprobs"] = {"content": [_token(piece) for piece in re.split(r"(?<=\[\[)(A)", ANSWER)]}
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60},
    }
    completion = {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }
    return 200, json.dumps(completion).encode()


def _token(text: str) -> dict:
    top = [{"token": other, "logprob": -0.7, "bytes": None} for other in ("A", "B")] if text == "A" else []
    return {"token": text, "logprob": -0.7, "bytes": None, "top_logprobs": top}


def _status(text: str) -> int:
    always = _ALWAYS.search(text)
    if always:
        return int(always[1])
    once = _ONCE.search(text)
    if once and text not in _refused:
        _refused.add(text)
        return int(once[1])
    return 200


async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            status, content = (404, b"{}") if head.startswith(b"GET") else reply(body)
            writer.write(
                b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                % (status, len(content), content)
            )
            await writer.drain()
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve_connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
