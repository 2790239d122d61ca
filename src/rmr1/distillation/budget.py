"""What may be spent, in tokens and in money, and the gate that requests pass one by one.

A request is let through only if the budget also covers the worst that it and all those under way can cost: a prompt of as many
tokens as half its bytes, and a completion of its full length. So a budget is never overrun (unless the prompts tokenise badly).
"""

from __future__ import annotations

from collections.abc import Iterator

from rmr1.config import Prices, cost
from rmr1.judging import JudgeRequest
from rmr1.records import GenerationRequest, Usage

_BYTES_PER_TOKEN = 2
"""A low estimate, so that the prompt's reservation is high: English has about four."""
Place = tuple[int, int]


def worst(request: GenerationRequest) -> Usage:
    """The most that a request may use."""
    size = sum(len(message.content.encode(errors="surrogatepass")) for message in request.messages)
    return Usage(size // _BYTES_PER_TOKEN + 1, request.sampling.max_tokens)


class Budget:
    """Counts what is spent and what is promised.

    Args:
        max_tokens: Tokens of prompts and completions together; None for no limit.
        max_cost: Money; None for no limit.

    Attributes:
        tokens: Tokens spent.
        cost: Money spent.
    """

    def __init__(self, max_tokens: int | None = None, max_cost: float | None = None) -> None:
        self.max_tokens = max_tokens
        self.max_cost = max_cost
        self.tokens = 0
        self.cost = 0.0
        self._promised: dict[Place, tuple[int, float]] = {}
        self._promised_tokens = 0
        self._promised_cost = 0.0

    def spend(self, usage: Usage, prices: Prices | None) -> None:
        """Count tokens that were used."""
        self.tokens += usage.prompt_tokens + usage.completion_tokens
        self.cost += cost(usage, prices)

    def promise(self, place: Place, usage: Usage, prices: Prices | None) -> bool:
        """Set aside what a request may use; False, and nothing set aside, where there is not enough left."""
        tokens, money = usage.prompt_tokens + usage.completion_tokens, cost(usage, prices)
        if self.max_tokens is not None and self.tokens + self._promised_tokens + tokens > self.max_tokens:
            return False
        if self.max_cost is not None and self.cost + self._promised_cost + money > self.max_cost:
            return False
        self._promised[place] = (tokens, money)
        self._promised_tokens += tokens
        self._promised_cost += money
        return True

    def settle(self, place: Place, usage: Usage, prices: Prices | None) -> None:
        """A request has ended: count what it used, and free the rest of what was set aside for it."""
        tokens, money = self._promised.pop(place)
        self._promised_tokens -= tokens
        self._promised_cost = self._promised_cost - money if self._promised else 0.0
        self.spend(usage, prices)


class Gate:
    """Lets questions through as long as the budget covers them; ``let_through`` may be called again when some have ended.

    Args:
        questions: What is to be asked.
        budget: What may be spent.
        prices: What the engine's tokens cost.

    Attributes:
        refused: Whether a question waits that the budget did not cover.
    """

    def __init__(self, questions: Iterator[JudgeRequest], budget: Budget, prices: Prices | None) -> None:
        self._questions = questions
        self._budget = budget
        self._prices = prices
        self._held: JudgeRequest | None = None

    @property
    def refused(self) -> bool:  # noqa: D102
        return self._held is not None

    def let_through(self) -> Iterator[JudgeRequest]:
        """Yield questions until one is not covered; that one comes first the next time."""
        while True:
            question = self._held or next(self._questions, None)
            self._held = None
            if question is None:
                return
            if not self._budget.promise((question.pair, question.index), worst(question.request), self._prices):
                self._held = question
                return
            yield question
