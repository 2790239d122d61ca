"""GBNF grammars that force the format of a template, so that also a weak model ends in a verdict.

Free text in them is bounded in characters, by shares of what the token limit allows, one token for each character: a model
that writes nonsense needs as many, and its verdict still has to come before the limit. A grammar defines ``completion``; the
root is added here.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from string import Template as Placeholders

from rmr1.errors import TemplateError
from rmr1.prompts.templates import Template

_TAG_TOKENS = 128
"""Tokens of the tags of a whole Chain-of-Rubrics completion, even where a model spells them out in pieces."""
_SHARES = {"item": 0.08, "justify": 0.16, "solution": 0.4, "note": 0.1, "cited": 0.15, "free": 1.0}
_THINK_SHARE = 0.5
_LONGEST = 2000
"""Longer repetitions are untested in llama.cpp."""


def load_grammar(template: Template, *, max_tokens: int, think_open: bool = False) -> str:
    """The GBNF text of a template's grammar.

    Args:
        template: The template, which names its grammar.
        max_tokens: The longest completion; free text is bounded to fit.
        think_open: Whether the output starts inside a think block, which it then has to close.

    Raises:
        TemplateError: The template names a grammar that does not exist.
    """
    folder = files("rmr1.prompts") / "grammars"
    path = folder / f"{template.grammar}.gbnf"
    if not path.is_file():
        known = ", ".join(sorted(Path(entry.name).stem for entry in folder.iterdir()))
        raise TemplateError(f'{template.name}: no grammar "{template.grammar}"; the grammars are {known}')
    characters = max(max_tokens - _TAG_TOKENS, 0)
    thought = _bound(characters * _THINK_SHARE)
    if think_open:
        characters = int(characters * (1 - _THINK_SHARE))
    bounds = {name: _bound(characters * share) for name, share in _SHARES.items()}
    root = f'root ::= [^<]{{1,{thought}}} "</think>\\n\\n" completion' if think_open else "root ::= completion"
    return f"{root}\n{Placeholders(path.read_text(encoding='utf-8')).substitute(bounds)}"


def _bound(characters: float) -> int:
    return min(max(int(characters), 4), _LONGEST)
