"""How a completion under a grammar ends within its limit, where the engine lets us look at it while it is written.

llama.cpp keeps a completion inside its grammar and does not know how many tokens the grammar still needs. So the completion is
watched: when the rest of the limit is just enough for the shortest ending, it is stopped there. The ending is then given, all but
its verdict, for which the model is asked.
"""

from __future__ import annotations

from collections.abc import Callable

from rmr1.errors import ConfigError
from rmr1.prompts.automaton import DEAD, Automaton, EndingPart, compile_grammar

FORCED = "max_tokens: the grammar ended it"
"""The ``finish_detail`` of a completion that had come to its limit."""
CountTokens = Callable[[str], int]


class GrammarEndings:
    """The shortest endings of a grammar in tokens of one model.

    Args:
        grammar: GBNF.
        count: How many tokens a text has.

    Raises:
        ConfigError: The grammar cannot be read.
    """

    def __init__(self, grammar: str, count: CountTokens) -> None:
        self.automaton: Automaton = compile_grammar(grammar)
        self._count = count
        self._tokens: dict[tuple[EndingPart, ...], int] = {}

    def tokens(self, state: int) -> int:
        """Tokens of the ending of a text in this state, with the one that ends the turn."""
        ending = self.automaton.ending(state)
        if ending not in self._tokens:
            self._tokens[ending] = sum(1 if part.letters else self._count(part.text) for part in ending) + 1
        return self._tokens[ending]

    def fits(self, state: int, left: int) -> bool:
        """Whether the ending of a text in this state fits into this many tokens."""
        # A text has at most as many tokens as bytes, so most states need not be looked at.
        return int(self.automaton.missing[state]) + 1 <= left or self.tokens(state) <= left


class WatchedCompletion:
    """A completion on its way through a grammar.

    Args:
        endings: Of its grammar.
        limit: Most tokens.

    Raises:
        ConfigError: The grammar's shortest text does not fit in.
    """

    def __init__(self, endings: GrammarEndings, limit: int) -> None:
        self._endings = endings
        self._limit = limit
        self._state = 0
        if not endings.fits(0, limit):
            raise ConfigError(f"{limit} tokens are too few: the shortest text of the grammar has {endings.tokens(0)}")

    @property
    def complete(self) -> bool:
        """Whether the text may end here."""
        return bool(self._endings.automaton.accepting[self._state])

    @property
    def ending(self) -> tuple[EndingPart, ...]:
        """The shortest ending."""
        return self._endings.automaton.ending(self._state)

    def goes_on(self, text: str, tokens: int) -> bool:
        """Whether a text may follow: whether the completion, which then has this many tokens, can still end within its limit.

        If not, the text does not count, and the shortest ending of what is before it fits in.
        """
        state = self._endings.automaton.walk(self._state, text.encode())
        if state == DEAD or not self._endings.fits(state, self._limit - tokens):
            return False
        self._state = state
        return True


def letter_grammar(part: EndingPart) -> str:
    """The grammar of one of a part's letters."""
    return "root ::= [" + "".join(f"\\x{ord(letter):02X}" for letter in part.letters) + "]"
