"""The embedded engine with the real small model."""

import asyncio
import contextlib
import json
import random
import signal
import socket
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from rmr1 import Judge
from rmr1.config import EngineConfig
from rmr1.engines import open_model
from rmr1.engines.grammar_ending import FORCED
from rmr1.errors import EngineError, ModelNotFoundError
from rmr1.prompts import load_grammar, load_template
from rmr1.records import Generation, GenerationRequest, Message, Sampling
from rmr1.verdict import parse_verdict, verdict_probability
from tests.support.processes import kill_when, lines_of, wait_until

pytestmark = pytest.mark.xdist_group("llamacpp")  # one at a time: each takes all the processors that it gets

SYSTEM = Message(
    "system", "You answer in a few words. " + "Be brief and polite, and say nothing that you do not know. " * 10
)
TOPICS = ("bread", "the sea", "chess", "rain")


def request(topic, seed=0, *, max_tokens=12, temperature=1.0, **options):
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens, seed=seed)
    return GenerationRequest(
        f"{topic}/{seed}", (SYSTEM, Message("user", f"Tell me about {topic}.")), sampling, **options
    )


@pytest.fixture(scope="module")
def engine(small_model):
    engine = open_model(str(small_model), EngineConfig(context=2048)).engine
    yield engine
    asyncio.run(engine.aclose())


def ask(engine, *requests):
    async def collect():
        return [generation async for generation in engine.generate(requests)]

    return {generation.request_id: generation for generation in asyncio.run(collect())}


def test_generation_carries_text_usage_and_log_probabilities(engine):
    (done,) = ask(engine, request("bread", logprobs=True)).values()
    assert done.finish_reason == "length"
    assert done.usage.completion_tokens == 12
    assert done.usage.prompt_tokens > 100
    assert "".join(token.text for token in done.tokens) == done.text
    assert all(token.logprob <= 0 and len(token.top) == 20 for token in done.tokens)


def test_the_token_that_ends_the_turn_is_no_part_of_the_text(engine):
    (done,) = ask(engine, request("bread", grammar='root ::= "Yes."', logprobs=True)).values()
    assert (done.text, done.finish_reason) == ("Yes.", "stop")
    assert all(token.text for token in done.tokens)


def test_instructions_are_computed_once(engine):
    ask(engine, request("bread"))
    (done,) = ask(engine, request("the sea")).values()
    assert done.usage.cached_tokens > 0.8 * done.usage.prompt_tokens


def test_what_is_written_depends_on_the_request_alone(engine):
    """Also its log-probabilities, to the last bit: in any order of requests, and for votes on one prompt."""
    requests = [request(topic, seed, logprobs=True) for topic in TOPICS for seed in (1, 2)]
    first = ask(engine, *requests)
    assert len({generation.text for generation in first.values()}) > 4
    for order in (requests[::-1], random.Random(1).sample(requests, len(requests))):
        assert {name: (done.text, done.tokens) for name, done in ask(engine, *order).items()} == {
            name: (done.text, done.tokens) for name, done in first.items()
        }


def test_too_long_a_prompt_is_an_error_that_says_so(engine):
    long = GenerationRequest("long", (SYSTEM, Message("user", "word " * 4000)))
    done = ask(engine, long, request("chess"))
    assert done["long"].finish_reason == "error"
    assert "exceeds the available context size" in done["long"].error
    assert done["chess/0"].finish_reason == "length"


@pytest.mark.parametrize(
    ("name", "think_open"),
    [("cor", False), ("cor-brief", False), ("rubric-only", False), ("verdict-only", False), ("verdict-only", True)],
)
def test_every_grammar_ends_in_a_verdict_without_problems_within_any_limit(engine, name, think_open):
    grammar = load_grammar(load_template(name), think_open=think_open)
    least = engine.least_tokens(grammar)
    sizes = {"bread": least, "rain": least + 20}
    asked = [request(topic, 1, max_tokens=size, grammar=grammar, logprobs=True) for topic, size in sizes.items()]
    for number, done in ask(engine, *asked).items():
        verdict = parse_verdict(Generation("r", done.text, done.finish_reason, think_open=think_open))
        assert verdict.side is not None, done.text
        assert verdict_probability(done, verdict) is not None, done.tokens
        allowed = {"missing_type"} if name == "rubric-only" else set()
        assert set(verdict.problems) <= allowed, done.text
        assert done.usage.completion_tokens <= sizes[number.partition("/")[0]] + 1
        assert "".join(token.text for token in done.tokens) == done.text
    (short,) = ask(engine, request("bread", max_tokens=least - 1, grammar=grammar)).values()
    assert short.finish_reason == "error"
    assert f"the shortest text of the grammar has {least}" in short.error


def test_what_ends_in_time_is_not_touched_and_what_does_not_says_so(engine):
    grammar = 'root ::= "Yes, " [a-z ]{0,3} "it is [[" [AB] "]]"'
    done, cut = (
        ask(engine, request("bread", max_tokens=size, temperature=0, grammar=text, logprobs=True)).popitem()[1]
        for size, text in ((40, grammar), (30, grammar.replace("{0,3}", "{100,}").replace("it is", "")))
    )
    assert (done.finish_reason, done.finish_detail) == ("stop", None)
    assert (cut.finish_reason, cut.finish_detail) == ("error", None)
    late = ask(
        engine, request("bread", max_tokens=30, temperature=0, grammar=grammar.replace("{0,3}", "*"), logprobs=True)
    )
    assert late.popitem()[1].finish_detail == FORCED


def test_several_slots_answer_everything(small_model):
    engine = open_model(str(small_model), EngineConfig(context=1024, slots=3)).engine
    try:
        done = ask(engine, *(request(topic, seed) for topic in TOPICS for seed in (1, 2)))
    finally:
        asyncio.run(engine.aclose())
    assert len(done) == 8
    assert {generation.finish_reason for generation in done.values()} == {"length"}
    assert sum(generation.usage.cached_tokens for generation in done.values()) > 0.7 * sum(
        generation.usage.prompt_tokens for generation in done.values()
    )


@pytest.mark.parametrize("reuse", ["instructions", "longest"])
def test_what_is_reused_of_the_prompt_before(small_model, reuse):
    long = "Tell me what comes to your mind about " + "the sea and " * 60
    engine = open_model(str(small_model), EngineConfig(context=1024, reuse=reuse)).engine
    try:
        for name in ("bread", "rain"):
            asked = GenerationRequest(name, (SYSTEM, Message("user", long + name)), Sampling(max_tokens=4))
            usage = ask(engine, asked)[name].usage
    finally:
        asyncio.run(engine.aclose())
    common = usage.cached_tokens / usage.prompt_tokens
    assert common > 0.95 if reuse == "longest" else common < 0.6


def sockets(table, state):
    """Inodes and addresses of this process's own sockets in a state, from a table of the kernel."""
    own = set()
    for number in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            own.add(str(number.readlink()))
    rows = [line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    at, inode, address = (3, 6, 7) if table == "unix" else (3, 9, 1)
    return [row[address] for row in rows if row[at] == state and len(row) > address and f"socket:[{row[inode]}]" in own]


def without_key(path, method, url, content):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(path)
        body = json.dumps(content).encode()
        head = f"{method} {url} HTTP/1.1\r\nHost: x\r\nOrigin: http://other.example\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\nConnection: close\r\n\r\n".encode() + body)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer.decode()


@pytest.mark.skipif(not Path("/proc/net/unix").exists(), reason="sockets are listed in /proc on Linux only")
def test_no_port_is_open_and_the_socket_answers_nobody_else(engine):
    async def while_judging():
        stream = engine.generate([request("bread", max_tokens=2), request("rain", 1, max_tokens=40)])
        await anext(stream)
        await asyncio.to_thread(look)
        async for _ in stream:
            pass

    def look():
        assert [*sockets("tcp", "0A"), *sockets("tcp6", "0A")] == []
        paths = sockets("unix", "00010000")
        assert paths
        for path in paths:
            assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700
            for method, url in (
                ("POST", "/completion"),
                ("POST", "/v1/chat/completions"),
                ("POST", "/slots/0?action=erase"),
                ("POST", "/apply-template"),
                ("POST", "/tokenize"),
                ("GET", "/slots"),
                ("GET", "/props"),
            ):
                answer = without_key(path, method, url, {"prompt": "Hello", "content": "Hello", "n_predict": 1})
                assert answer.startswith("HTTP/1.1 401"), (url, answer)
                assert "other.example" not in answer
                assert "Access-Control-Allow-Origin: *" not in answer

    asyncio.run(while_judging())


def test_control_tokens_of_the_model_are_letters_in_a_response(engine):
    def prompt_tokens(text):
        asked = GenerationRequest(text, (SYSTEM, Message("user", text)), Sampling(max_tokens=1))
        return ask(engine, asked)[text].usage.prompt_tokens

    usual = prompt_tokens("a b")
    for mark in ("<|im_end|>", "<|endoftext|>", "<jupyter_start>", "<repo_name>", "<empty_output>"):
        assert prompt_tokens(f"a {mark} b") > usual + 2, mark


def test_leaving_early_stops_the_writing(engine):
    async def take_one():
        stream = engine.generate(
            request(topic, max_tokens=1500 if number else 2) for number, topic in enumerate(TOPICS)
        )
        await anext(stream)  # the short one; the others are being written
        task = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await stream.aclose()

    # Far less than the others would take to the end.
    asyncio.run(asyncio.wait_for(take_one(), 30))
    assert ask(engine, request("rain"))["rain/0"].finish_reason == "length"


def test_what_is_no_model_is_named(tmp_path, monkeypatch):
    (tmp_path / "bad.gguf").write_bytes(b"GGUF nonsense")
    with pytest.raises(EngineError, match=r"cannot load .*bad\.gguf; is it a whole GGUF file"):
        open_model(str(tmp_path / "bad.gguf"))
    monkeypatch.setenv("RMR1_CACHE", str(tmp_path))
    with pytest.raises(ModelNotFoundError, match='fetch it with "rmr1 pull smollm2-135m-instruct"'):
        open_model("llamacpp/smollm2-135m-instruct")
    with pytest.raises(ModelNotFoundError, match="has no GGUF file; serve gaotang"):
        open_model("rm-r1-qwen2.5-instruct-7b")


def test_judge_object_with_the_real_model(small_model):
    with Judge(f"llamacpp/{small_model}", constrain=True, max_tokens=160, template="cor-compact") as judge:
        judgment = judge.compare("What is 2 + 2?", "4", "5", label="A")
    assert judgment.winner in ("A", "B", "tie")
    assert all(vote.p_a is not None for vote in judgment.votes)
    assert judgment.task_type in ("Chat", "Reasoning")
    assert judgment.evaluation
    assert judgment.rubric or judgment.solution
    assert judgment.usage.completion_tokens > 0


COMMAND = (
    sys.executable,
    "-m",
    "rmr1.cli.main",
    "judge",
    "pairs.jsonl",
    "--constrain",
    "--max-tokens",
    "120",
    "--json",
    "--run",
)


@pytest.fixture
def folder(tmp_path):
    with (tmp_path / "pairs.jsonl").open("w") as pairs:
        for number in range(3):
            pairs.write(
                json.dumps({"prompt": f"What is {number} + 1?", "chosen": str(number + 1), "rejected": "7"}) + "\n"
            )
    return tmp_path


def run(folder, name):
    return subprocess.run(
        [*COMMAND, name, "--model", "smollm2-135m-instruct"], cwd=folder, capture_output=True, text=True, check=True
    )


def has_lines(journal, count):
    return lines_of(journal) >= count


@pytest.mark.slow
@pytest.mark.usefixtures("small_model")
def test_killed_in_the_middle_the_rerun_ends_as_if_undisturbed(folder):
    run(folder, "undisturbed")
    for done in (1, 4):
        name = f"killed-{done}"
        journal = folder / name / "completions.jsonl"
        command = [*COMMAND, name, "--model", "smollm2-135m-instruct"]
        assert kill_when(partial(has_lines, journal, done), command, cwd=folder)
        assert done <= lines_of(journal) < 6
        run(folder, name)
        for file in ("completions.jsonl", "results.json"):
            assert (folder / name / file).read_bytes() == (folder / "undisturbed" / file).read_bytes()


@pytest.mark.usefixtures("small_model")
def test_ctrl_c_says_how_to_go_on(folder):
    process = subprocess.Popen(
        [*COMMAND, "stopped", "--model", "smollm2-135m-instruct"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # where the tests run in the background, it is ignored
    )
    assert wait_until(partial(has_lines, folder / "stopped" / "completions.jsonl", 1), process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "rmr1: interrupted; run the same command again to continue"
    assert "Traceback" not in said
    assert len(run(folder, "stopped").stdout.splitlines()) == 3
