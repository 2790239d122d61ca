"""One request to a server: deadline, size, retries, and causes in words."""

import asyncio
import json
import socket
import time
from itertools import repeat

import pytest

from rmr1.engines.chat_client import ChatClient
from tests.support.raw_server import Raw, answering, completion, error


def post(address, max_tokens=100, notes=None, times=1, **options):
    async def run():
        settings = {"timeout_s": 20.0, "max_retries": 0, "most_mb": None, "concurrency": 2, **options}
        client = ChatClient(
            address, {"authorization": "Bearer x"}, on_note=notes.append if notes is not None else print, **settings
        )
        try:
            return [await client.post({"model": "m"}, max_tokens) for _ in range(times)][-1]
        finally:
            await client.aclose()

    return asyncio.run(run())


def in_turn(*answers):
    left = list(answers)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def test_an_answer_with_its_status():
    with answering(lambda request: Raw(completion(), 201)) as server:
        answer = post(server.address + "/")
        assert (answer.status, answer.failure, server.paths) == (201, None, ["/v1/chat/completions"])


def test_user_password_and_query_are_sent_and_never_said():
    with answering(lambda request: Raw(b"")) as server:
        post(server.address.replace("http://", "http://me:pa55word@") + "?key=s3cret")
        assert server.paths == ["/v1/chat/completions?key=s3cret"]
        assert {name.lower(): value for name, value in server.headers[0].items()}["authorization"].startswith("Basic ")
    gone = post(server.address.replace("http://", "http://me:pa55word@") + "?key=s3cret")
    assert "pa55word" not in gone.failure
    assert "s3cret" not in gone.failure


def test_the_deadline_counts_for_a_body_that_trickles():
    with answering(lambda request: Raw(pieces=repeat(b" "), pause_s=0.05)) as server:
        began = time.monotonic()
        answer = post(server.address, timeout_s=0.6, max_retries=5)
    assert "within engine.timeout_s (0.6 s)" in answer.failure
    assert time.monotonic() - began < 10


def test_the_deadline_counts_for_retries():
    notes = []
    with answering(lambda request: Raw(b"", 503, headers={"retry-after": "3600"})) as server:
        answer = post(server.address, max_retries=5, notes=notes)
        assert len(server.asked) == 1
    assert "HTTP 503" in answer.failure
    assert "the next try in 3600 s" in answer.failure


def test_an_endless_body_is_cut_off():
    with answering(lambda request: Raw(pieces=repeat(b"x" * 100_000))) as server:
        answer = post(server.address, most_mb=1)
        assert "more than 1 MB, see engine.max_answer_mb" in answer.failure
        assert "more than 8 MB" in post(server.address).failure
        assert "more than 14 MB" in post(server.address, max_tokens=2000).failure


def test_a_long_answer_within_the_limit_is_read():
    with answering(lambda request: Raw(b"x" * 900_000)) as server:
        assert len(post(server.address, most_mb=1).body) == 900_000


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_what_may_pass_is_tried_again_and_told_once(status):
    notes = []
    with answering(in_turn(Raw(error("busy"), status, headers={"retry-after-ms": "1"}), Raw(b"ok"))) as server:
        assert post(server.address, max_retries=2, notes=notes, times=2).body == b"ok"
        assert len(server.asked) == 3
    assert len(notes) == 1
    assert f"HTTP {status}: busy; such requests are tried again, up to 2 times" in notes[0]


@pytest.mark.parametrize(
    "answer",
    [
        Raw(error("bad request"), 400),
        Raw(error("You exceeded your current quota", code="insufficient_quota"), 429),
        Raw(error("Payment required"), 402),
        Raw(error("System role not supported"), 500),
        Raw(error("no"), 500, headers={"x-should-retry": "false"}),
    ],
)
def test_what_will_not_pass_is_not_tried_again(answer):
    with answering(lambda request: answer) as server:
        assert post(server.address, max_retries=5).status == answer.status
        assert len(server.asked) == 1


OVERLOADED = b'{"id": "1", "choices": [{"message": {"content": ""}, "error": {"message": "busy", "code": 502}}]}'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (error("slow down", code="rate_limit_exceeded", type="requests"), 429),
        (error("busy", code=503), 503),
        (error("busy", code="503"), 503),
        (error("busy", type="overloaded_error"), 529),
        (error("busy", status="UNAVAILABLE", code=0), 503),
        (OVERLOADED, 502),
    ],
)
def test_an_error_inside_an_answer_is_tried_again_as_one_outside(body, status):
    notes = []
    with answering(in_turn(Raw(body), Raw(completion()))) as server:
        assert post(server.address, max_retries=2, notes=notes).status == 200
        assert len(server.asked) == 2
    assert f"answers with HTTP {status}: " in notes[0]
    with answering(lambda request: Raw(body)) as server:
        assert post(server.address, max_retries=1).status == status
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    "body",
    [
        error("You exceeded your current quota", code="insufficient_quota"),
        error("no such field", type="invalid_request_error"),
        error("no", code=400),
        error("no", code=True),
        error("no", code=[429]),
        b'{"error": "rate limited"}',
        b'{"error": {"code": 429',
        b'{"error": null, "choices": 3}',
        b'["error"]',
    ],
)
def test_other_errors_inside_an_answer_are_not_tried_again(body):
    with answering(lambda request: Raw(body)) as server:
        assert post(server.address, max_retries=5).body == (
            body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("wait", "longer"), [("0.3", 0.25), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", 0.3), ("nan", 0.0)]
)
def test_a_server_is_waited_for_as_it_asks(wait, longer):
    with answering(in_turn(Raw(b"", 429, headers={"retry-after": wait}), Raw(b"ok"))) as server:
        began = time.monotonic()
        assert post(server.address, max_retries=1).body == b"ok"
    assert longer <= time.monotonic() - began < 15


@pytest.mark.parametrize("name", ["retry-after", "retry-after-ms"])
def test_no_time_to_wait_stops_the_clock(name):
    for wait in ("nan", "-nan", "NaN(1)", "-1", "", "1e400x"):
        with answering(in_turn(Raw(b"", 503, headers={name: wait}), Raw(b"ok"))) as server:
            assert post(server.address, max_retries=1, timeout_s=20).body == b"ok"


def test_why_there_is_no_connection():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert (
        f"no answer from http://127.0.0.1:{port}/v1: the connection is refused"
        in post(f"http://127.0.0.1:{port}/v1").failure
    )
    unknown = post("http://no-such-host.invalid/v1").failure
    assert "http://no-such-host.invalid/v1: the name no-such-host.invalid cannot be resolved" in unknown


def test_tls_is_named():
    with answering(lambda request: Raw(b"")) as server:
        assert "TLS fails" in post(server.address.replace("http:", "https:")).failure


def test_a_body_that_cannot_be_unpacked():
    with answering(lambda request: Raw(b"no gzip", headers={"content-encoding": "gzip"})) as server:
        assert "cannot be decoded" in post(server.address).failure


def test_a_connection_that_breaks_off():
    with answering(lambda request: Raw(pieces=[b"{"], headers={"content-length": "100"})) as server:
        assert f"no answer from {server.address}" in post(server.address).failure
