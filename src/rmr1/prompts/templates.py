"""Prompt templates: text files with a system part, a user part for one turn and one for conversations.

A file is divided by lines that begin with ``@@``::

    @@ grammar cor
    @@ system
    ...
    @@ user single-turn
    ... {{question}} ... {{response_a}} ... {{response_b}} ...
    @@ user multi-turn
    ... {{conversation_a}} ... {{conversation_b}} ...

A judge that rates one response at a time has ``{{question}}`` and ``{{response}}`` in the one user part, ``{{conversation}}`` in
the other, and needs both. Its completions end in ``<answer>[[7]]</answer>``, a rating from 1 to 10.

User parts may also hold ``{{reference}}``, the right answer, and ``{{rubric}}``, by what to judge, where every pair has one.
Parts that are absent come from the standard user turn; a file without any ``@@`` line is a system prompt (so the text of a model
card can be used as it is). ``@@ grammar`` names the grammar that ``--constrain`` uses with the template.

Grammars are GBNF texts that force the format of a template, so that weak models too end in a verdict. Free text in them is
bounded in characters, by shares of what the token limit allows, one token for each character: a model that writes nonsense needs
as many, and its verdict still has to come before the limit. A grammar defines ``completion``; the root is added here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template as Placeholders

from rmr1.arguments import path_of
from rmr1.errors import TemplateError, did_you_mean

_SINGLE = ("question", "response_a", "response_b")
_MULTI = ("conversation_a", "conversation_b")
_PARTS = {"system": (), "user single-turn": _SINGLE, "user multi-turn": _MULTI}
_RATED_PARTS = {"system": (), "user single-turn": ("question", "response"), "user multi-turn": ("conversation",)}
SLOTS = ("reference", "rubric")
"""What a template may show of a pair besides its texts."""
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_STANDARD = "standard_user"
_REPAIR = "repair"
_CHOICE = "best-of-four"
_NO_JUDGES = frozenset({_STANDARD, _REPAIR, _CHOICE})
_TAG_TOKENS = 128
"""Tokens of the tags of a whole Chain-of-Rubrics completion, even where a model spells them out in pieces."""
_SHARES = {"item": 0.08, "justify": 0.16, "solution": 0.4, "note": 0.1, "cited": 0.15, "free": 1.0}
_THINK_SHARE = 0.5
_LONGEST = 2000
"""Longer repetitions are untested in llama.cpp."""


@dataclass(frozen=True, slots=True)
class RepairTemplate:
    """The prompt of a repairer, which corrects a completion that failed. ``sha256`` covers its whole text."""

    system: str
    user: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ChoiceTemplate:
    """The prompt that asks for the best of four responses. ``sha256`` covers its whole text."""

    system: str
    user: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Template:
    """A judge prompt.

    ``sha256`` covers the whole text as the model gets it, with the standard parts filled in; ``slots`` are those of ``SLOTS`` that
    it shows, and that every pair must have. ``rates`` says that it shows one response, to be rated.
    """

    name: str
    system: str | None
    single_turn: str
    multi_turn: str
    grammar: str
    sha256: str
    slots: tuple[str, ...] = ()
    rates: bool = False


SCALAR = Template("none", None, "", "", "", hashlib.sha256(b"").hexdigest(), rates=True)
"""What stands for the template of a scalar reward model, which reads the conversation and nothing else."""


def template_names() -> tuple[str, ...]:
    """The templates that ship with the package."""
    folder = files("rmr1.prompts") / "templates"
    names = (Path(entry.name) for entry in folder.iterdir())
    return tuple(sorted(name.stem for name in names if name.suffix == ".txt" and name.stem not in _NO_JUDGES))


def load_template(name_or_path: str | Path) -> Template:
    """Load a shipped template by name, or a file by its path.

    Raises:
        TemplateError: No such template, or the file is malformed; the message names the part.
    """
    path = path_of("template", name_or_path, "the name of a template, or the path of one")
    name_or_path = str(name_or_path)
    if name_or_path in template_names():
        return _build(name_or_path, _shipped(name_or_path))
    if not path.is_file():
        known = ", ".join(template_names())
        raise TemplateError(
            f'no template "{name_or_path}": it is neither a file nor one of {known}{did_you_mean(name_or_path, template_names())}'
        )
    try:
        return _build(str(path), path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise TemplateError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def load_repair_template() -> RepairTemplate:
    """Load the one prompt of repairers."""
    return RepairTemplate(*_system_and_user(_REPAIR))


def load_choice_template() -> ChoiceTemplate:
    """Load the one prompt that asks for the best of four."""
    return ChoiceTemplate(*_system_and_user(_CHOICE))


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


def substitute(text: str, values: dict[str, str]) -> str:
    """Fill in placeholders in one pass, so that braces inside a value have no meaning."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


def _shipped(name: str) -> str:
    return (files("rmr1.prompts") / "templates" / f"{name}.txt").read_text(encoding="utf-8")


def _system_and_user(name: str) -> tuple[str, str, str]:
    """The two parts of a shipped prompt, and the hash of both."""
    parts = _split(name, _shipped(name), ("system", "user"))
    return parts["system"], parts["user"], hashlib.sha256(f"{parts['system']}\0{parts['user']}".encode()).hexdigest()


def _build(name: str, source: str) -> Template:
    parts = _split(name, source)
    grammar = parts.pop("grammar", "cor").strip()
    rates = any(found in parts.get(part, "") for part in _RATED_PARTS for found in ("{{response}}", "{{conversation}}"))
    if not rates:
        parts = _split(_STANDARD, _shipped(_STANDARD)) | parts
    for part, allowed in (_RATED_PARTS if rates else _PARTS).items():
        _check_placeholders(name, part, parts.get(part, ""), allowed)
    system = parts.get("system") or None
    single, multi = parts["user single-turn"], parts["user multi-turn"]
    digest = hashlib.sha256("\0".join((system or "", single, multi)).encode()).hexdigest()
    slots = tuple(slot for slot in SLOTS if slot in _PLACEHOLDER.findall(single + multi))
    return Template(name, system, single, multi, grammar, digest, slots, rates)


def _split(name: str, source: str, known: Collection[str] = tuple(_PARTS)) -> dict[str, str]:
    source = source.replace("\r\n", "\n")
    if not source.strip():
        raise TemplateError(f"{name}: the template is empty")
    if not re.search(r"^@@ ", source, re.MULTILINE):
        return {"system": source.strip("\n")}
    parts: dict[str, str] = {}
    before, *sections = re.split(r"^@@ ", source, flags=re.MULTILINE)
    if before.strip():
        raise TemplateError(f'{name}: there is text before the first "@@" line; put "@@ system" above it')
    for section in sections:
        header, _, body = section.partition("\n")
        key, value = header.strip(), body.strip("\n")
        if key.startswith("grammar "):
            key, value = "grammar", key.removeprefix("grammar ")
        elif key not in known:
            raise TemplateError(f'{name}: unknown part "@@ {key}"; the parts are {", ".join(known)} and grammar NAME')
        if key in parts:
            raise TemplateError(f'{name}: the part "@@ {key}" occurs twice')
        parts[key] = value
    return parts


def _check_placeholders(name: str, part: str, text: str, allowed: tuple[str, ...]) -> None:
    found = _PLACEHOLDER.findall(text)
    unknown = sorted(set(found) - {*allowed, *(SLOTS if allowed else ())})
    if unknown:
        hint = "; put it into the user parts" if unknown[0] in SLOTS else ""
        raise TemplateError(f'{name}: "@@ {part}" has the unknown placeholder {{{{{unknown[0]}}}}}{hint}')
    for placeholder in allowed:
        if found.count(placeholder) != 1:
            raise TemplateError(
                f'{name}: "@@ {part}" must hold {{{{{placeholder}}}}} once; it holds it {found.count(placeholder)} times'
            )


def _bound(characters: float) -> int:
    return min(max(int(characters), 4), _LONGEST)
