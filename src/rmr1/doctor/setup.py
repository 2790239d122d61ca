"""A set-up as a whole: whether the prompt is the model's own, whether prompts fit its context, and what the machine can do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rmr1.config import JudgeConfig
from rmr1.doctor.answers import Answered
from rmr1.engines import Engine
from rmr1.judging import DEFAULT_TEMPLATE
from rmr1.models import ResolvedModel
from rmr1.results import CheckResult

JUDGE_TEMPLATE, CONTEXT, MACHINE = "judge template", "context", "machine"
_USUAL_RESPONSES = 1200
"""Tokens that a prompt with two usual responses has beyond one of the obvious pairs."""
_ROOM = 1.15
"""A model needs this many times the size of its file."""


def check_judge_template(config: JudgeConfig, resolved: ResolvedModel) -> CheckResult:
    """Whether a judge is asked with the prompt that it was trained with."""
    own, chosen = resolved.template, config.template
    if resolved.entry is not None and resolved.entry.exact_template and chosen is None:
        seen = f"{resolved.entry.name} was trained with the prompt on its {resolved.entry.exact_template}, and is asked with {own}"
        return CheckResult(JUDGE_TEMPLATE, "warn", seen, "copy that text to a file and pass --template FILE")
    if own is None:
        return CheckResult(
            JUDGE_TEMPLATE, "ok", f"asked with {chosen or DEFAULT_TEMPLATE}; the model names none of its own"
        )
    if chosen is not None and chosen != own:
        seen = f"the model was made for the template {own}, and is asked with {chosen}"
        return CheckResult(JUDGE_TEMPLATE, "warn", seen, f"leave --template out, or pass --template {own}")
    return CheckResult(JUDGE_TEMPLATE, "ok", f"asked with {own}, the model's own")


def check_context(
    config: JudgeConfig, answered: Sequence[Answered], *, context: int | None, embedded: bool
) -> CheckResult:
    """Whether the template, two usual responses and a completion fit into the context.

    Args:
        config: ``max_tokens`` matters.
        answered: Completions about short pairs.
        context: Tokens of prompt and completion together; None if nobody says so.
        embedded: Whether the engine runs here: it cuts completions that do not fit, where servers refuse the request.
    """
    longest = max((one.generation.usage.prompt_tokens for one in answered), default=0)
    errors = [one.generation.error or "" for one in answered if one.generation.finish_reason == "error"]
    refused = next((error for error in errors if "context" in error.lower() or "too long" in error.lower()), None)
    more = "raise --engine-context" if embedded else "serve the model with a larger context (vLLM: --max-model-len)"
    if refused is not None:
        return CheckResult(
            CONTEXT,
            "fail",
            f"a prompt with a short pair does not fit: {refused}",
            f"{more}, or take a shorter --template",
        )
    if context is None or not longest:
        unknown = (
            "nobody says how large the context is"
            if context is None
            else "the engine does not tell how many tokens a prompt has"
        )
        return CheckResult(CONTEXT, "skipped", unknown)
    needed, usual = longest + config.max_tokens, longest + _USUAL_RESPONSES + config.max_tokens
    sizes = f"a prompt with a short pair has {longest} tokens and a completion up to {config.max_tokens}"
    parts = f"{sizes}; the context holds {context}"
    if needed > context:
        room = max(context - longest, 0)
        fix = f"{more}, or lower --max-tokens (at most {room} fit)"
        return CheckResult(CONTEXT, "warn" if embedded and room > config.max_tokens / 2 else "fail", parts, fix)
    if usual > context:
        fix = f"{more}, lower --max-tokens, or leave long pairs out"
        return CheckResult(CONTEXT, "warn", f"{parts}: too little for two responses of 600 tokens each", fix)
    return CheckResult(CONTEXT, "ok", parts)


def check_machine(config: JudgeConfig, *, engine: Engine | None, slots: int | None, size: int) -> CheckResult:
    """Whether threads, slots and memory suit the machine.

    Args:
        config: ``engine.threads`` and ``concurrency`` matter.
        engine: What writes; None before it is loaded.
        slots: How many requests a server works on at a time, if it says so.
        size: Bytes of the model's weights; 0 if that is not known.
    """
    if engine is not None and not engine.embedded:
        if slots is not None and config.concurrency > slots:
            seen = f"the server works on {slots} requests at a time, and {config.concurrency} are sent"
            return CheckResult(
                MACHINE, "warn", f"{seen}: the others wait, and may time out", f"pass --concurrency {slots}"
            )
        return CheckResult(MACHINE, "ok", f"up to {config.concurrency} requests are under way at the server")
    processors, threads = _processors(), config.engine.threads
    free = _free_memory()
    if size and free is not None and size * _ROOM > free:
        seen = f"the model needs {size * _ROOM / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free"
        return CheckResult(
            MACHINE, "warn", seen, "take a smaller model or a smaller quantisation, or end other programs"
        )
    if threads is not None and threads > processors:
        seen = f"{threads} threads on {processors} processors wait for each other"
        return CheckResult(MACHINE, "warn", seen, f"pass --engine-threads {processors}, or leave it out")
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if busy > processors + 1:
        seen = f"{busy:.0f} programs compete for {processors} processors; judging takes longer than it has to"
        return CheckResult(MACHINE, "warn", seen, "wait until the machine is idle, or take fewer --engine-threads")
    memory = "" if free is None else f" and {free / 1e9:.1f} GB of free memory"
    return CheckResult(MACHINE, "ok", f"{threads or processors} threads on {processors} processors{memory}")


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _free_memory() -> int | None:
    """Bytes that are free, on systems that say so."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = dict(line.partition(":")[::2] for line in lines)
    free = found.get("MemAvailable", "").split()
    return int(free[0]) * 1024 if free else None
