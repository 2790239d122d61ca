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

Grammars are GBNF texts that force the format of a template, so that weak models too end in a verdict. They force the tags and
leave what stands between them free, of any length: each engine sees to it that a completion ends within its limit. A grammar
defines ``completion``; what grammars share (the thought before it, the evaluation, the answer, free text) stands in ``parts.gbnf``.
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
from rmr1.errors import ConfigError, TemplateError, did_you_mean
from rmr1.prompts.automaton import DEAD, compile_grammar

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
_SHARED_RULES = "parts"
_THINK = ("<think>", "</think>")
_QUOTED = tuple(f"<{slash}{tag}>" for tag in ("answer", "quote_A", "quote_B") for slash in ("", "/"))
_SECTIONS = tuple(
    f"<{slash}{tag}>"
    for tag in ("type", "rubric", "justify", "solution", "eval", "summary_A", "summary_B")
    for slash in ("", "/")
)
_EXCLUDED = {"thought": _THINK, "said": _THINK + _QUOTED, "text": _THINK + _QUOTED + _SECTIONS}
"""The tags that do not occur in each kind of free text; any other text does, ``<`` and tags of HTML included."""
_RULE = re.compile(r"^([a-z-]+) ::= (.*)$", re.MULTILINE)
_RULE_NAME = re.compile(r"""[a-z][a-z-]*|"(?:\\.|[^"\\])*+"?|\[(?:\\.|[^\]\\])*+\]?""")


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


def load_grammar(template: Template, *, think_open: bool = False) -> str:
    """The GBNF text of a template's grammar.

    Its texts are those that ``rmr1.verdict`` reads without a problem, as far as nothing but white space stands between the parts.
    The model may think first, in a think block.

    Args:
        template: The template, which names its grammar.
        think_open: Whether the output starts inside a think block, which it then has to close.

    Raises:
        TemplateError: The template names a grammar that does not exist.
    """
    folder = files("rmr1.prompts") / "grammars"
    names = {Path(entry.name).stem for entry in folder.iterdir()} - {_SHARED_RULES}
    if template.grammar not in names:
        known = ", ".join(sorted(names))
        raise TemplateError(f'{template.name}: no grammar "{template.grammar}"; the grammars are {known}')
    own, shared = ((folder / f"{name}.gbnf").read_text(encoding="utf-8") for name in (template.grammar, _SHARED_RULES))
    openings = {f"open_{kind}": _no_tag(tags) for kind, tags in _EXCLUDED.items()}
    think = "open-think" if think_open else "think"
    return _reachable(f"{own}\n{Placeholders(shared).substitute(openings, think=think)}")


def follows(text: str, grammar: str) -> bool:
    """Whether a completion follows a grammar: how a server is found out that ignores the grammar it was sent.

    Servers strip texts, and those that take the thought out apply the grammar to what is left; both are no disobedience. A
    grammar that refers to itself, or that is none, accepts anything.

    Args:
        text: A completion that was not cut.
        grammar: The GBNF that was sent.
    """
    try:
        automaton = compile_grammar(grammar)
    except ConfigError:
        return True
    _, end, after = text.partition("</think>") if text.lstrip().startswith("<think>") else ("", "", "")
    readings = (form for one in ((text, after) if end else (text,)) for form in (one, one.strip(), f"{one.strip()}\n"))
    states = (automaton.walk(0, one.encode(errors="surrogatepass")) for one in readings)
    return any(state != DEAD and bool(automaton.accepting[state]) for state in states)


def _no_tag(tags: Collection[str]) -> str:
    """An expression for ``<`` and what follows it, up to the first letter that makes it none of these tags."""
    return f'"<"+ ({_mismatch([tag[1:] for tag in tags])})'


def _mismatch(endings: Collection[str]) -> str:
    """Letters up to the first that leaves all of these texts; ``<`` would begin anew."""
    following: dict[str, list[str]] = {}
    for ending in endings:
        following.setdefault(ending[0], []).append(ending[1:])
    longer = (f'"{letter}" ({_mismatch(rest)})' for letter, rest in following.items() if all(rest))
    return " | ".join([f"[^<{''.join(following)}]", *longer])


def _reachable(grammar: str) -> str:
    """The rules that a grammar's root needs, its root first."""
    rules = {match[1]: match[2] for match in _RULE.finditer(grammar)}
    needed = ["root"]
    for name in needed:
        needed += [other for other in _RULE_NAME.findall(rules[name]) if other in rules and other not in needed]
    return "".join(f"{name} ::= {rules[name]}\n" for name in dict.fromkeys(needed))


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
