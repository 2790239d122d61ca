"""The cache of answers: what it finds again, what it never keeps, and what becomes of it in bad hands."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

from rmr1.engines import AnswerCache, CachingEngine, clear_answers
from rmr1.engines.cached import answer_key
from rmr1.errors import StorageError
from rmr1.records import Comparison, Generation, GenerationRequest, Message, Sampling, TokenLogprob, Usage
from tests.support.engines import FunctionEngine

REQUEST = GenerationRequest("r", (Message("user", "q"),), Sampling(1.0, 0.9, 100, 7), "root ::= x", True)
IDENTITY = {"model_fingerprint": "f", "context": 100}


def request(number, **changes):
    return replace(REQUEST, id=f"r{number}", messages=(Message("user", f"question {number}"),), **changes)


def ask(engine, requests):
    async def collect():
        return [generation async for generation in engine.generate(requests)]

    return asyncio.run(collect())


@pytest.fixture
def cache(tmp_path):
    made = AnswerCache(tmp_path / "answers")
    yield made
    made.close()


@pytest.mark.parametrize(
    "changed",
    [
        replace(REQUEST, messages=(Message("user", "Q"),)),
        replace(REQUEST, messages=(Message("system", "q"),)),
        replace(REQUEST, messages=(Message("user", "q"), Message("user", ""))),
        replace(REQUEST, sampling=replace(REQUEST.sampling, temperature=0.5)),
        replace(REQUEST, sampling=replace(REQUEST.sampling, top_p=1.0)),
        replace(REQUEST, sampling=replace(REQUEST.sampling, max_tokens=101)),
        replace(REQUEST, sampling=replace(REQUEST.sampling, seed=8)),
        replace(REQUEST, sampling=replace(REQUEST.sampling, seed=None)),
        replace(REQUEST, sampling=replace(REQUEST.sampling, top_k=5)),
        replace(REQUEST, grammar=None),
        replace(REQUEST, grammar="root ::= y"),
        replace(REQUEST, logprobs=False),
        replace(REQUEST, comparison=Comparison("p", "ab", 1, (), (), ())),
    ],
)
def test_the_key_changes_with_everything_that_decides_an_answer(changed):
    assert answer_key("e/m", IDENTITY, changed) != answer_key("e/m", IDENTITY, REQUEST)


def test_the_key_is_that_of_the_engine_and_not_of_names():
    key = answer_key("e/m", IDENTITY, REQUEST)
    assert key == answer_key("e/m", dict(reversed(IDENTITY.items())), replace(REQUEST, id="other"))
    assert key != answer_key("e/n", IDENTITY, REQUEST)
    assert key != answer_key("e/m", IDENTITY | {"context": 101}, REQUEST)
    votes = [replace(REQUEST, comparison=Comparison(name, "ab", 0, (), (), ())) for name in "pq"]
    assert answer_key("e/m", IDENTITY, votes[0]) == answer_key("e/m", IDENTITY, votes[1])


WHOLE = Generation(
    "r", "lone \ud800 and é", "length", Usage(3, 4, 1, 1), True,
    (TokenLogprob("a", -0.25, (("b", -1.5),)), TokenLogprob("", -0.1)), None, "max_output"
)  # fmt: skip


def test_an_answer_comes_back_as_it_was(cache):
    cache.put(b"k", "e/m", WHOLE)
    assert cache.get(b"k", "again") == replace(WHOLE, request_id="again", from_cache=True)
    assert cache.get(b"other", "again") is None


def test_what_was_asked_once_is_not_asked_again(tmp_path):
    first = FunctionEngine(lambda request: f"answer to {request.messages[0].content}", batch=3)
    written = ask(CachingEngine(first, AnswerCache(tmp_path)), [request(number) for number in range(7)])
    second = FunctionEngine(lambda request: "new", batch=3)
    engine = CachingEngine(second, AnswerCache(tmp_path))
    again = ask(engine, [replace(request(number), id=f"x{number}") for number in range(9)])
    assert [one.messages[0].content for one in second.asked] == ["question 7", "question 8"]
    texts = {one.request_id[1:]: one.text for one in written} | {"7": "new", "8": "new"}
    assert {one.request_id[1:]: one.text for one in again} == texts
    assert {one.request_id for one in again if one.from_cache} == {f"x{number}" for number in range(7)}
    assert engine.identity() == second.identity()


def test_failures_are_never_kept_and_refusals_are(tmp_path):
    ends = {"r0": "error", "r1": "refused", "r2": "length"}
    engine = FunctionEngine(lambda request: Generation(request.id, "no", ends[request.id], error="boom"))
    ask(CachingEngine(engine, AnswerCache(tmp_path)), [request(number) for number in range(3)])
    again = FunctionEngine(lambda request: "yes")
    found = ask(CachingEngine(again, AnswerCache(tmp_path)), [request(number) for number in range(3)])
    assert {one.request_id: (one.finish_reason, one.from_cache) for one in found} == {
        "r0": ("stop", False),
        "r1": ("refused", True),
        "r2": ("length", True),
    }


def test_a_long_row_of_known_answers_does_not_pile_up(tmp_path, monkeypatch):
    monkeypatch.setattr("rmr1.engines.cached._MOST_WAITING", 5)
    ask(CachingEngine(FunctionEngine(lambda request: "old"), AnswerCache(tmp_path)), [request(n) for n in range(1, 40)])
    engine, most = FunctionEngine(lambda request: "new", batch=2), 0
    drawn = []

    def requests():
        for number in range(42):
            drawn.append(number)
            yield request(number)

    async def collect():
        nonlocal most
        done = 0
        async for _ in CachingEngine(engine, AnswerCache(tmp_path)).generate(requests()):
            done += 1
            most = max(most, len(drawn) - done)
        return done

    assert asyncio.run(collect()) == 42
    assert [one.id for one in engine.asked] == ["r0", "r40", "r41"]
    assert most <= 6


def test_nobody_else_may_read_it(cache):
    folder = cache.path.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(cache.path.stat().st_mode) == 0o600
    folder.chmod(0o755)
    AnswerCache(folder).close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", [b"no database at all, " * 400, None])
def test_a_damaged_file_is_one_line_with_the_cure(tmp_path, damage):
    cache = AnswerCache(tmp_path)
    for number in range(50):
        cache.put(bytes([number]), "e/m", replace(WHOLE, text="x" * 3000))
    cache.close()
    if damage is None:
        content = bytearray(cache.path.read_bytes())
        content[4096:] = os.urandom(len(content) - 4096)
        damage = bytes(content)
    cache.path.write_bytes(damage)
    with pytest.raises(StorageError, match=r'answers\.sqlite: the cache of answers is damaged .*"rmr1 cache clear"'):
        opened = AnswerCache(tmp_path)
        for number in range(50):
            opened.get(bytes([number]), "r")
    assert clear_answers(tmp_path) >= len(damage)
    assert AnswerCache(tmp_path).get(b"k", "r") is None


def test_another_version_is_refused(cache):
    cache.close()
    with sqlite3.connect(cache.path) as file:
        file.execute("PRAGMA user_version=99")
    with pytest.raises(
        StorageError, match=r'another version of rmr1 made it \(format 99, not 1\); delete it with "rmr1 cache'
    ):
        AnswerCache(cache.path.parent)


def test_a_paid_answer_is_handed_out_before_a_full_disk_ends_the_run(cache, monkeypatch):
    def full(*answer):
        raise StorageError("the disk is full")

    monkeypatch.setattr(cache, "put", full)
    engine = CachingEngine(FunctionEngine(lambda request: "paid"), cache)

    async def take():
        generations = engine.generate([REQUEST])
        assert (await anext(generations)).text == "paid"
        with pytest.raises(StorageError, match="the disk is full"):
            await anext(generations)

    asyncio.run(take())


def test_the_least_recently_used_go_first(tmp_path):
    cache = AnswerCache(tmp_path)
    for number in range(100):
        cache.put(bytes([number]), f"e/{number % 2}", replace(WHOLE, text=os.urandom(4000).hex()))
    for number in range(5):
        assert cache.get(bytes([number]), "r") is not None
    before = cache.bytes
    assert cache.prune(most_bytes=before // 2) > 40
    assert cache.bytes <= before // 2
    assert all(cache.get(bytes([number]), "r") for number in range(5)), "they were used"
    assert cache.prune(unused_days=1) == 0
    assert sum(one.hits for one in cache.by_model()) == 10
    assert cache.prune(unused_days=0) > 0
    assert cache.by_model() == []


def test_a_cache_that_is_too_large_forgets_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("rmr1.engines.cached._LOOK_EVERY", 10)
    cache = AnswerCache(tmp_path, most_bytes=200_000)
    for number in range(100):
        cache.put(number.to_bytes(2), "e/m", replace(WHOLE, text=os.urandom(4000).hex()))
    assert cache.bytes < 300_000
    assert cache.get((99).to_bytes(2), "r") is not None


WRITER = """
    import sys
    from pathlib import Path
    from rmr1.engines import AnswerCache
    from rmr1.records import Generation
    cache = AnswerCache(Path(sys.argv[1]))
    print("open", flush=True)
    for number in range(10**9 if sys.argv[3] == "forever" else 150):
        cache.put(f"{sys.argv[2]}/{number}".encode(), "e/m", Generation("r", f"text {number} " * 50))
        if number == 100:
            print("going", flush=True)
"""


def test_processes_share_it_and_kills_leave_it_whole(tmp_path):
    def start(name, mode):
        command = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path), name, mode]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    killed, *others = start("k", "forever"), start("a", "once"), start("b", "once")
    assert [killed.stdout.readline(), killed.stdout.readline()] == ["open\n", "going\n"]
    killed.kill()
    killed.communicate()
    assert [other.wait() for other in others if other.communicate()] == [0, 0]
    cache = AnswerCache(tmp_path)
    for name in "ab":
        assert all(cache.get(f"{name}/{number}".encode(), "r").text == f"text {number} " * 50 for number in range(150))
    (found,) = cache.by_model()
    assert found.answers >= 300 + 101
