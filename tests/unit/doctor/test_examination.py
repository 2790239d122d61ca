"""A set-up that works has nothing to fix; each one that is broken is named, with its fix."""

import json
import socket
import threading

import pytest

pytest.importorskip("openai", reason="the openai extra is not installed")

from rmr1.doctor import examine
from rmr1.doctor.examination import CHECKS
from rmr1.engines import LoadedModel
from rmr1.records import Generation
from rmr1.runs import NullCallbacks
from tests.support.engines import FunctionEngine
from tests.support.judge_server import JudgeServer, serving

KEY = "RMR1_TEST_KEY"


def look(judge=None, *, model="openai/judge", path="/v1", callbacks=None, **settings):
    engine = {"api_key_env": KEY, "timeout_s": 20, **settings.pop("engine", {})}
    with serving(judge or JudgeServer()) as address:
        engine.setdefault("base_url", f"{address}{path}")
        settings.setdefault("max_tokens", 256)
        return examine(model, callbacks=callbacks, engine=engine, **settings)


def found(results, name):
    return next(check for check in results.checks if check.name == name)


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv(KEY, raising=False)


class Heard(NullCallbacks):
    def __init__(self):
        self.said, self.most, self.count = [], 0, 0

    def say(self, message):
        self.said.append(message)

    def started(self, total, done, limit_s=None):
        self.most = total

    def answered(self, usage):
        self.count += 1


def test_a_set_up_that_works_has_nothing_to_fix():
    heard = Heard()
    results = look(callbacks=heard)
    wrong = [check for check in results.checks if check.status in ("warn", "fail")]
    assert wrong == []
    assert {check.name for check in results.checks if check.status == "skipped"} == {"model files", "chat template"}
    assert tuple(check.name for check in results.checks) == CHECKS
    assert not results.has_failures


def test_the_cost_is_said_before_and_kept():
    heard = Heard()
    results = look(JudgeServer(length=2000, grammar="nothing"), callbacks=heard, max_tokens=64)
    assert f"up to {heard.most} requests" in heard.said[0]
    assert 20 < results.requests <= heard.most
    written = int(heard.said[0].split("which write ")[1].split()[0].replace(",", ""))
    assert results.tokens.completion_tokens <= written


BROKEN = {
    "the model is called otherwise": (
        JudgeServer(models=("judge-7b", "other")),
        {},
        ("model name", "fail", "the server lists judge-7b, other, not judge", "name one of them: openai/judge-7b"),
    ),
    "the model is not listed and answers": (
        JudgeServer(models=("judge-7b",), strict_names=False),
        {},
        ("model name", "warn", "perhaps with another model", "openai/judge-7b"),
    ),
    "/v1 is missing": (
        JudgeServer(),
        {"path": ""},
        ("address", "fail", "HTTP 404; the API is at http://127.0.0.1", "pass --base-url http://127.0.0.1"),
    ),
    "/v1 is too much": (
        JudgeServer(prefix=""),
        {},
        ("address", "fail", "the API is at", "--base-url http://127.0.0.1"),
    ),
    "no API": (
        JudgeServer(prefix="/elsewhere"),
        {},
        ("address", "fail", "there is no OpenAI-compatible API", "with /v1 at its end"),
    ),
    "a key is wanted": (
        JudgeServer(key="right"),
        {},
        ("API key", "fail", f"the server wants a key, and {KEY} is not set", f"set {KEY} to your key"),
    ),
    "the system role is refused": (
        JudgeServer(system="refused"),
        {},
        ("system role", "warn", "takes no system message", "--system-role merge"),
    ),
    "the system message is dropped": (
        JudgeServer(system="dropped"),
        {},
        ("system role", "fail", "the message is left out", "--system-role merge"),
    ),
    "the template on the server drops it": (
        JudgeServer(template="{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"),
        {},
        ("system role", "fail", "leaves system messages out", "--system-role merge"),
    ),
    "the context is too small": (
        JudgeServer(context=700),
        {"max_tokens": 512},
        ("context", "fail", "does not fit", "--max-model-len"),
    ),
    "the context is small": (
        JudgeServer(context=1024),
        {"max_tokens": 300},
        ("context", "warn", "too little for two responses of 600 tokens each", "lower --max-tokens"),
    ),
    "grammars are ignored": (
        JudgeServer(grammar="nothing"),
        {"engine": {"server_grammar": "vllm"}, "constrain": True},
        ("grammar", "fail", "the grammar is ignored", "--engine-server-grammar"),
    ),
    "grammars are ignored in every form": (
        JudgeServer(grammar="nothing"),
        {},
        ("grammar", "warn", "obeys no grammar, sent as any of llamacpp, vllm", "do without --constrain"),
    ),
    "grammars are obeyed in another form": (
        JudgeServer(grammar="structured_outputs"),
        {},
        ("grammar", "ok", "obeys grammars, as vllm takes them", "pass --engine-server-grammar vllm"),
    ),
    "answers differ": (
        JudgeServer(repeats=False),
        {},
        ("determinism", "warn", "has two answers; they part at character", "overrides temperature"),
    ),
    "seeds are ignored": (
        JudgeServer(seeds=False),
        {},
        ("temperature and seed", "warn", "the seed is ignored", "keep the run directory"),
    ),
    "all is cut": (
        JudgeServer(length=400),
        {"max_tokens": 64},
        ("max_tokens", "fail", "all 12 answers are cut at 64 tokens", "--max-tokens 640"),
    ),
    "answers never end": (
        JudgeServer(length=10**6),
        {"max_tokens": 64},
        ("max_tokens", "fail", "and 2 of them at 512 too", "the right end token"),
    ),
    "BOS is doubled": (
        JudgeServer(begin=(1, 1, 5)),
        {},
        ("double BOS", "fail", "begins with the token 1 twice", "does not begin with the BOS token"),
    ),
    "a thought is open": (
        JudgeServer(think=True),
        {},
        ("think mode", "warn", "close a thought that they did not open", "--engine-think open"),
    ),
    "no thought is open": (
        JudgeServer(),
        {"engine": {"think": "open"}},
        ("think mode", "fail", "none of them closes one", "--engine-think auto"),
    ),
    "log-probabilities are refused": (
        JudgeServer(logprobs=False),
        {},
        ("log-probabilities", "warn", "0 of 12 verdicts", "--votes"),
    ),
    "a field is refused": (
        JudgeServer(logprobs=False),
        {},
        ("request fields", "warn", "engine.omit=[logprobs]", "set what the note names"),
    ),
    "the first always wins": (
        JudgeServer(side="A"),
        {},
        ("position", "warn", "0 of 6 pairs get the same verdict in both orders", "--orders both"),
    ),
    "verdicts are guesses": (
        JudgeServer(side="A"),
        {},
        ("obvious pairs", "warn", "6 of 12 verdicts", "a stronger model"),
    ),
    "no verdicts": (JudgeServer(verdicts=False), {}, ("verdicts", "fail", "0 of 12 completions", "--constrain")),
    "few slots": (JudgeServer(slots=2), {}, ("machine", "warn", "2 requests at a time, and 16", "--concurrency 2")),
    "letters become control tokens": (
        JudgeServer(marks=1),
        {"fence": False},
        ("control tokens", "warn", "a response can end its own turn", "--fence"),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_a_server_is_named_with_its_fix(name):
    judge, settings, (check, status, seen, fix) = BROKEN[name]
    result = found(look(judge, **settings), check)
    assert result.status == status, result
    assert seen in result.seen
    assert fix in result.fix


def test_a_wrong_key_is_named_and_not_told(monkeypatch):
    monkeypatch.setenv(KEY, "sk-very-secret-1234567890")
    results = look(JudgeServer(key="right"))
    assert found(results, "API key").seen.startswith(f"the server refuses the key in {KEY}")
    assert results.has_failures
    assert "very-secret" not in json.dumps(results.to_json())
    monkeypatch.setenv(KEY, "right")
    assert found(look(JudgeServer(key="right")), "API key").status == "ok"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.parametrize(
    ("url", "seen", "fix"),
    [
        ("http://127.0.0.1:FREE/v1", "refuses the connection: nothing listens there", "start the server"),
        ("http://no-such-host.invalid/v1", "the name no-such-host.invalid cannot be resolved", "correct the host"),
    ],
)
def test_a_server_that_is_not_there(url, seen, fix):
    url = url.replace("FREE", str(free_port()))
    results = look(engine={"base_url": url})
    assert found(results, "server").status == "fail"
    assert seen in found(results, "server").seen
    assert fix in found(results, "server").fix
    assert found(results, "verdicts").seen == "not checked, because server has to be fixed first"
    assert results.requests == 0


def test_https_to_a_server_that_speaks_http():
    with serving(JudgeServer()) as address:
        results = examine("openai/judge", engine={"base_url": address.replace("http:", "https:") + "/v1"})
    check = found(results, "server")
    assert (check.status, "does not speak TLS" in check.seen) == ("fail", True)
    assert check.fix == f"pass --base-url {address}/v1"


def test_a_server_that_hangs_up_is_named():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up():
            for _ in range(4):
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")
                connection.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        port = listening.getsockname()[1]
        check = found(examine("openai/judge", engine={"base_url": f"http://127.0.0.1:{port}/v1"}), "server")
    assert check.status == "fail"
    assert "does not answer as a web server does" in check.seen
    assert "the right port" in check.fix


def test_a_server_without_a_list_of_models_is_examined():
    results = look(JudgeServer(models=None))
    assert found(results, "address").status == "ok"
    assert found(results, "model name").seen == "the server does not list its models"
    assert found(results, "verdicts").status == "ok"


def test_a_model_argument_that_names_nothing():
    results = examine("llamacp/some-model")
    assert found(results, "model argument").status == "fail"
    assert 'did you mean "llamacpp/some-model"?' in found(results, "model argument").fix
    assert len({check.name for check in results.checks if check.status == "skipped"}) == len(CHECKS) - 1


def test_an_engine_that_dies_is_a_finding_and_not_a_traceback(monkeypatch):
    engine = FunctionEngine(lambda request: Generation(request.id, "", "error", error="out of order; repair it"))
    monkeypatch.setattr("rmr1.doctor.examination.open_model", lambda *_, **__: LoadedModel(engine))
    results = examine("program/judge", max_tokens=64)
    assert (found(results, "first answer").seen, found(results, "first answer").fix) == ("out of order", "repair it")
    assert engine.closed
