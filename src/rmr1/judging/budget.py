"""What a run may spend, and what it has spent: tokens and money, over all its processes.

A request goes out only if the budget also covers the worst that it and all those under way can cost: a prompt of as many tokens as
half its bytes, and a completion of full length. So a budget is never overrun, unless prompts tokenise badly; then it is by no more
than the requests under way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rmr1.config import JudgeConfig, Prices, cost
from rmr1.engines import CachingEngine, Engine
from rmr1.errors import ConfigError, JournalError
from rmr1.judging.completions import Completion
from rmr1.judging.runner import JudgeRequest
from rmr1.models import ModelPrices, known_prices
from rmr1.records import GenerationRequest, Usage
from rmr1.results import Spending
from rmr1.runs import JournalLine, Ledger, read_ledger

_BYTES_PER_TOKEN = 2
"""A low estimate, so that the prompt's reservation is high: English has about four."""
SPENT = "spent.jsonl"
"""The ledger of a run that says what was paid."""


def worst(request: GenerationRequest) -> Usage:
    """The most that a request may use."""
    size = sum(len(message.content.encode(errors="surrogatepass")) for message in request.messages)
    return Usage(size // _BYTES_PER_TOKEN + 1, request.sampling.max_tokens)


def total(usage: Usage) -> int:
    """Tokens of prompts and completions together."""
    return usage.prompt_tokens + usage.completion_tokens


@dataclass(frozen=True, slots=True)
class Promise:
    """What is set aside for a request under way."""

    usage: Usage
    cost: float
    prices: Prices | None


class Budget:
    """Counts what is spent and what is promised.

    Args:
        max_tokens: Tokens of prompts and completions together; None for no limit.
        max_cost: Money; None for no limit.

    Attributes:
        spent: Tokens spent.
        cost: Money spent.
        told: Whether the user knows that it is used up.
    """

    def __init__(self, max_tokens: int | None = None, max_cost: float | None = None) -> None:
        self.max_tokens = max_tokens
        self.max_cost = max_cost
        self.spent = Usage()
        self.cost = 0.0
        self.told = False
        self._promised_tokens = 0
        self._promised_cost = 0.0
        self._promises = 0

    @property
    def is_limited(self) -> bool:
        """Whether it can refuse anything."""
        return self.max_tokens is not None or self.max_cost is not None

    @property
    def tokens(self) -> int:
        """Tokens spent on prompts and completions together."""
        return total(self.spent)

    def spend(self, usage: Usage, prices: Prices | None) -> None:
        """Count tokens that were used."""
        self.spent += usage
        self.cost += cost(usage, prices)

    def promise(self, usage: Usage, prices: Prices | None) -> Promise | None:
        """Set aside what a request may use; None, with nothing set aside, if not enough is left."""
        money = cost(usage, prices)
        if self.max_tokens is not None and self.tokens + self._promised_tokens + total(usage) > self.max_tokens:
            return None
        if self.max_cost is not None and self.cost + self._promised_cost + money > self.max_cost:
            return None
        self._promises += 1
        self._promised_tokens += total(usage)
        self._promised_cost += money
        return Promise(usage, money, prices)

    def settle(self, promise: Promise, usage: Usage) -> Usage:
        """A request has ended: count what it used, and free the rest of what was set aside for it.

        Returns:
            The tokens counted: all that was set aside, if the engine does not tell what the request used.
        """
        self._promises -= 1
        self._promised_tokens -= total(promise.usage)
        self._promised_cost = self._promised_cost - promise.cost if self._promises else 0.0
        counted = promise.usage if usage.unknown else usage
        self.spend(counted, promise.prices)
        return counted

    def exhausted(self, request: GenerationRequest) -> str:
        """A sentence that says what is spent, and how to go on.

        Args:
            request: The one that the rest does not cover.
        """
        limits = []
        if self.max_tokens is not None:
            limits.append(f"{self.tokens:,} of {self.max_tokens:,} tokens are spent (max_total_tokens)")
        if self.max_cost is not None:
            limits.append(f"{self.cost:.4f} of {self.max_cost:g} in money is spent (max_cost)")
        most = total(worst(request))
        return (
            f"the budget is used up: {', '.join(limits)}, and the next request may take {most:,} tokens; "
            f"the same command with a larger one continues"
        )


class Account:
    """What a run has paid, whatever became of it.

    It outlives the journals of completions, of which lines may be deleted to have them done again.

    Args:
        ledger: Has a line for each request that was paid; None keeps nothing.

    Attributes:
        earlier: What earlier processes have paid, by what it was for.

    Raises:
        JournalError: The ledger was changed.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        self.earlier: dict[str, Usage] = {}
        self._ledger = ledger
        self._requests: Counter[str] = Counter()
        for name, usage in _payments(ledger.lines() if ledger is not None else ()):
            self.earlier[name] = self.earlier.get(name, Usage()) + usage
            self._requests[name] += 1

    @property
    def total(self) -> Usage:
        """What earlier processes have paid for everything."""
        return sum(self.earlier.values(), Usage())

    def check(self, name: str, answered: int) -> None:
        """Refuse a ledger that lacks requests.

        Args:
            name: What they are for.
            answered: How many completions of them were kept.

        Raises:
            JournalError: The ledger knows of fewer.
        """
        if self._ledger is not None and self._requests[name] < answered:
            raise JournalError(
                f"{self._ledger.path}:{self._requests.total() + 1}: lines are missing here: {self._requests[name]} requests of "
                f"{name} were paid, and {answered} answered; restore the file, or choose another --run"
            )

    def pay(self, name: str, usage: Usage) -> None:
        """A request was paid."""
        if self._ledger is not None:
            tokens = [usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens]
            self._ledger.append({"pass": name, "tokens": tokens})


def paid_before(run: Path) -> Usage:
    """What the processes of a run have paid so far.

    Raises:
        JournalError: Its ledger was changed.
    """
    lines = read_ledger(run, SPENT) if (run / SPENT).is_file() else ()
    return sum((usage for _, usage in _payments(lines)), Usage())


def _payments(lines: Iterable[JournalLine]) -> Iterator[tuple[str, Usage]]:
    for line in lines:
        try:
            yield str(line.record["pass"]), Usage(*map(int, line.record["tokens"]))
        except (KeyError, TypeError, ValueError) as error:
            raise line.refuse(f"does not say what was spent ({error})", "choose another --run") from error


def _knows_nothing(request: GenerationRequest) -> bool:
    """Every answer has to be written."""
    return False


class Gate:
    """Lets requests through as long as the budget covers them; ``let_through`` may be called again when some have ended.

    Args:
        requests: The requests to send.
        budget: What may be spent.
        prices: What the engine's tokens cost.
        account: Keeps what is paid.
        name: What it is paid for.
        engine: What answers; one with a cache knows which answers cost nothing.

    Attributes:
        refused: The request that waits because the budget does not cover it, if there is one.
    """

    def __init__(
        self,
        requests: Iterator[JudgeRequest],
        budget: Budget,
        prices: Prices | None,
        account: Account,
        name: str,
        engine: Engine,
    ) -> None:
        self._knows = engine.knows if isinstance(engine, CachingEngine) and budget.is_limited else _knows_nothing
        self._account = account
        self._name = name
        self.refused: JudgeRequest | None = None
        self._requests = requests
        self._budget = budget
        self._prices = prices
        self._promises: dict[tuple[int, int], Promise] = {}

    def let_through(self) -> Iterator[JudgeRequest]:
        """Yield requests until one is not covered; that one comes first the next time."""
        while (request := self.refused or next(self._requests, None)) is not None:
            self.refused = None
            most = Usage() if self._knows(request.request) else worst(request.request)
            promise = self._budget.promise(most, self._prices)
            if promise is None:
                self.refused = request
                return
            self._promises[request.pair, request.index] = promise
            yield request

    def settle(self, completion: Completion) -> None:
        """A request has ended: it is paid, unless its answer is from a cache."""
        promise = self._promises.pop((completion.pair, completion.index))
        used = Usage() if completion.from_cache else completion.usage
        self._account.pay(self._name, self._budget.settle(promise, used))


def prices_of_model(model: str, given: Prices | None, base_url: str | None, option: str | None) -> ModelPrices | None:
    """What the tokens of a model cost: as the user says, else as the table of known prices does.

    Args:
        model: The name of its engine, ``ENGINE/MODEL``.
        given: What the user says.
        base_url: Address of its server, where it is not the engine's own.
        option: How the options that give prices begin, if they have to be known.

    Raises:
        ConfigError: They have to be known and are not.
    """
    if given is not None:
        return ModelPrices(given, "as given")
    known = known_prices(model, base_url)
    if known is None and option is not None:
        raise ConfigError(
            f"--max-cost: the price of {model} is not known; say what a million tokens cost, as in {option}-prompt 3 "
            f"{option}-completion 15"
        )
    return known


def prices_of_judge(config: JudgeConfig, model: str) -> ModelPrices | None:
    """As ``prices_of_model``, of a judge; they have to be known if its money is limited."""
    return prices_of_model(
        model, config.prices, config.engine.base_url, "--prices" if config.max_cost is not None else None
    )


def spending(budget: Budget, prices: ModelPrices | None) -> Spending | None:
    """What a run has spent, for its results; None where it has neither a budget nor prices."""
    if prices is None and not budget.is_limited:
        return None
    return Spending(
        budget.spent, None if prices is None else round(budget.cost, 6), "" if prices is None else prices.words()
    )
