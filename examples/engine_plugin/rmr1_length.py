"""A judge that knows only length: ``--model length/longest`` or ``--model length/shortest``.

How well it does on a benchmark shows how much of that benchmark is length bias.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping

from rmr1.config import EngineConfig
from rmr1.errors import ModelNotFoundError
from rmr1.records import Comparison, Generation, GenerationRequest

RULES = ("longest", "shortest")


class LengthEngine:
    """Prefers the longer or the shorter response. Equal lengths are an error, because length does not decide them."""

    embedded = True
    computes_in_caller = False
    think_open = False
    writes_logprobs = False
    obeys_grammars = False

    def __init__(self, model: str, config: EngineConfig, *, concurrency: int) -> None:
        if model not in RULES:
            raise ModelNotFoundError(f"length/{model}: no such rule; there is {', '.join(RULES)}")
        self.name = f"length/{model}"
        self._sign = 1 if model == "longest" else -1

    def identity(self) -> Mapping[str, object]:
        """What decides the output besides the requests; a run is resumed only with the same identity."""
        return {"rule": self.name, "version": 1}

    async def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """Yield one generation for each request."""
        for request in requests:
            yield self._answer(request.id, request.comparison)

    async def aclose(self) -> None:
        """Nothing to free."""

    def _answer(self, name: str, shown: Comparison | None) -> Generation:
        if shown is None:
            return Generation(name, "", "error", error="length judges comparisons only")
        a, b = (sum(len(message.content) for message in side) for side in (shown.shown_a, shown.shown_b))
        if a == b:
            return Generation(name, "", "error", error=f"both responses have {a} characters")
        side = "A" if (a - b) * self._sign > 0 else "B"
        return Generation(name, f"Response A has {a} characters, response B has {b}.\n<answer>[[{side}]]</answer>")
