"""Whether a set-up fits together: template and model, prompts and context, settings and machine."""

import os

import pytest

from rmr1.config import EngineConfig, JudgeConfig
from rmr1.doctor.answers import Answered
from rmr1.doctor.cases import obvious_pairs
from rmr1.doctor.setup import check_context, check_judge_template, check_machine
from rmr1.models import ResolvedModel, find_model, resolve_model
from rmr1.records import Generation, GenerationRequest, Usage, Verdict
from rmr1.sides import show


def test_a_trained_judge_is_asked_with_its_own_template():
    judge = ResolvedModel("hf", "runs/judge/model", template="cor-brief")
    other = check_judge_template(JudgeConfig(template="cor"), judge)
    assert (other.status, other.fix) == ("warn", "leave --template out, or pass --template cor-brief")
    own = check_judge_template(JudgeConfig(), judge)
    assert (own.status, own.seen) == ("ok", "asked with cor-brief, the model's own")
    assert "names none of its own" in check_judge_template(JudgeConfig(), ResolvedModel("openai", "m")).seen


def test_a_released_checkpoint_wants_the_prompt_of_its_model_card():
    released = find_model("rm-r1-qwen2.5-instruct-7b")
    check = check_judge_template(JudgeConfig(), resolve_model(f"openai/{released.hub.repository}"))
    assert (check.status, check.fix) == ("warn", "copy that text to a file and pass --template FILE")


def answered(tokens, error=None):
    comparison = show(obvious_pairs()[0], "ab", 0)
    finish = "error" if error else "stop"
    generation = Generation("r", "", finish, Usage(tokens, 10), error=error)
    return [Answered(GenerationRequest("r", ()), comparison, generation, Verdict(None, "missing"))]


@pytest.mark.parametrize(
    ("tokens", "context", "embedded", "status", "words"),
    [
        (300, None, True, "skipped", "nobody says"),
        (0, 4096, True, "skipped", "does not tell"),
        (300, 8192, True, "ok", "holds 8192"),
        (300, 2000, True, "warn", "two responses of 600 tokens"),
        (300, 1200, False, "fail", "holds 1200"),
        (300, 1200, True, "warn", "holds 1200"),
        (300, 500, True, "fail", "holds 500"),
    ],
)
def test_context_against_template_pair_and_completion(tokens, context, embedded, status, words):
    check = check_context(JudgeConfig(max_tokens=1024), answered(tokens), context=context, embedded=embedded)
    assert (check.status, words in check.seen) == (status, True), check
    assert ("--max-tokens" in check.fix) == (status in ("warn", "fail"))


def test_a_prompt_that_does_not_fit_is_named_whatever_the_context_is_said_to_be():
    check = check_context(JudgeConfig(), answered(0, "prompt is too long: 900 > 512"), context=None, embedded=False)
    assert (check.status, "too long: 900 > 512" in check.seen) == ("fail", True)


def test_threads_memory_and_load(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 0.1, 0.1))
    processors = len(os.sched_getaffinity(0))

    def look(threads=None, size=0):
        config = JudgeConfig(engine=EngineConfig(threads=threads))
        return check_machine(config, engine=None, slots=None, size=size)

    assert look().status == "ok"
    assert look(processors + 1).fix == f"pass --engine-threads {processors}, or leave it out"
    assert "smaller model" in look(size=10**15).fix
    monkeypatch.setattr(os, "getloadavg", lambda: (processors + 5.0, 0.0, 0.0))
    assert look().seen.startswith(f"{processors + 5} programs compete for {processors} processors")
