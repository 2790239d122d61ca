"""Grammars while decoding: which tokens may follow, so that the completion can still end within its limit.

For each state of a grammar's automaton it is known how many tokens the shortest ending has. A token is allowed if the grammar
allows it and what is missing after it fits into the rest of the limit. As long as there is room, that is the grammar alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from rmr1.errors import ConfigError
from rmr1.prompts.automaton import DEAD, Automaton

_NEVER = np.iinfo(np.int16).max
"""What is missing after a token that is not allowed."""
_KEPT = 512
"""For this many states of a grammar, it is kept what is missing after each token."""
_LONGEST = 32
"""Longer tokens are not looked for in the shortest endings."""


class Vocabulary:
    """The tokens of a model as bytes.

    Args:
        spellings: The bytes of each token; empty for those that are no text.
        size: How many tokens the model has logits for.
        stops: Tokens that end a completion.
    """

    def __init__(self, spellings: Sequence[bytes], size: int, stops: Iterable[int]) -> None:
        self.size = size
        self.stops = frozenset(stop for stop in stops if stop < size)
        self.spellings = [b"" if token in self.stops else text for token, text in enumerate(spellings[:size])]
        self.known = frozenset(self.spellings)
        lengths = np.array([len(spelling) for spelling in self.spellings])
        self.tokens = np.flatnonzero(lengths)
        self.lengths = lengths[self.tokens]
        self.letters = np.zeros((len(self.tokens), int(self.lengths.max(initial=0))), np.uint8)
        for row, token in enumerate(self.tokens):
            self.letters[row, : self.lengths[row]] = np.frombuffer(self.spellings[token], np.uint8)


class TokenGrammar:
    """A grammar over the tokens of one model.

    Args:
        automaton: The grammar.
        vocabulary: The tokens.
        device: Where logits are.

    Attributes:
        needed: Tokens of the shortest ending in each state, with the one that ends the turn, [states].

    Raises:
        ConfigError: The tokens spell no text of the grammar.
    """

    def __init__(self, automaton: Automaton, vocabulary: Vocabulary, device: torch.device | str = "cpu") -> None:
        self._automaton = automaton
        self._vocabulary = vocabulary
        self._device = device
        self.needed = _needed(automaton, vocabulary)
        if self.needed[0] >= _NEVER:
            raise ConfigError("the grammar cannot be followed: the model's tokens spell none of its texts")
        reached = self.needed[self.needed < _NEVER]
        self.most = int(reached.max())
        """No state needs more tokens; with this many left, the limit forbids nothing."""
        dead = len(automaton.table)
        self._table = np.vstack([np.where(automaton.table == DEAD, dead, automaton.table), np.full((1, 256), dead)])
        self._after = np.append(self.needed, _NEVER).astype(np.int16)
        self._missing: OrderedDict[int, torch.Tensor] = OrderedDict()

    def begin(self, limit: int) -> GrammarState:
        """The beginning of a completion.

        Args:
            limit: Most tokens of the completion, the one that ends it included; at least ``needed[0]``.
        """
        return GrammarState(self, limit)

    def missing(self, state: int) -> torch.Tensor:
        """How many tokens are missing to the nearest end after each token, [vocabulary]; a stop leaves none missing."""
        if state in self._missing:
            self._missing.move_to_end(state)
            return self._missing[state]
        vocabulary = self._vocabulary
        states = np.full(len(vocabulary.tokens), state)
        going = np.arange(len(states))
        for place in range(vocabulary.letters.shape[1]):
            going = going[vocabulary.lengths[going] > place]
            states[going] = self._table[states[going], vocabulary.letters[going, place]]
            going = going[states[going] < len(self._automaton.table)]
        missing = np.full(vocabulary.size, _NEVER, np.int16)
        missing[vocabulary.tokens] = self._after[states]
        missing[list(vocabulary.stops)] = 0 if self._automaton.accepting[state] else _NEVER
        self._missing[state] = torch.from_numpy(missing).to(self._device)
        if len(self._missing) > _KEPT:
            self._missing.popitem(last=False)
        return self._missing[state]

    def step(self, state: int, token: int) -> int:
        """The state after a token, ``DEAD`` if the grammar does not allow it; that of a complete text after a stop."""
        if token in self._vocabulary.stops:
            return state if self._automaton.accepting[state] else DEAD
        spelling = self._vocabulary.spellings[token] if token < len(self._vocabulary.spellings) else b""
        return self._automaton.walk(state, spelling) if spelling else DEAD

    def missing_after(self, state: int, token: int) -> int:
        """How many tokens are missing to the nearest end after one token, as in ``missing``."""
        after = self.step(state, token)
        return _NEVER if after == DEAD else 0 if token in self._vocabulary.stops else int(self.needed[after])


class GrammarState:
    """How far one completion has come in its grammar.

    Args:
        grammar: What it follows.
        limit: Most tokens of the completion, the one that ends it included; at least ``grammar.needed[0]``.

    Attributes:
        forced: Whether the limit has ruled out a token that was chosen, or the likeliest one of those that the grammar allows.
    """

    def __init__(self, grammar: TokenGrammar, limit: int) -> None:
        self.forced = False
        self._grammar = grammar
        self._left = limit
        self._state = 0

    def allows(self, token: int) -> bool:
        """Whether a token may follow."""
        missing = self._grammar.missing_after(self._state, token)
        self.forced |= self._left <= missing < _NEVER
        return missing < min(self._left, _NEVER)

    def masked(self, logits: torch.Tensor) -> torch.Tensor:
        """The logits without those of tokens that may not follow.

        Args:
            logits: Of the next token, [vocabulary].
        """
        missing = self._grammar.missing(self._state)
        by_grammar = logits.masked_fill(missing == _NEVER, float("-inf"))
        if self._left > self._grammar.most:
            return by_grammar
        late = missing >= self._left
        self.forced |= bool(late[by_grammar.argmax()])
        return by_grammar.masked_fill(late, float("-inf"))

    def take(self, token: int) -> None:
        """Go on with a token that may follow."""
        self._state = self._grammar.step(self._state, token)
        self._left -= 1


def _needed(automaton: Automaton, vocabulary: Vocabulary) -> NDArray[np.int32]:
    """Tokens of the nearest end of each state, and one that stops there: the fewest that spell it."""
    states = len(automaton.table)
    needed = np.full(states, _NEVER, np.int32)
    if not vocabulary.stops:
        return needed
    following = [automaton.next_byte(state) if automaton.missing[state] else 0 for state in range(states)]
    for state in np.argsort(automaton.missing, kind="stable"):
        if not automaton.missing[state]:
            needed[state] = 1
            continue
        spelled, place = bytearray(), int(state)
        while automaton.missing[place] and len(spelled) < _LONGEST:
            spelled.append(following[place])
            place = int(automaton.table[place, spelled[-1]])
            if bytes(spelled) in vocabulary.known:
                needed[state] = min(needed[state], needed[place] + 1)
    return np.minimum(needed, _NEVER)
