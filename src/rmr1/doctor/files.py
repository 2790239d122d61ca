"""A model's files before it is loaded: whether they are whole, and what its chat template does.

Chat templates are rendered here with jinja2, as transformers and llama.cpp do, so that a missing library does not hide what is
wrong with them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rmr1.errors import ModelNotFoundError
from rmr1.files import parse_json, read_text
from rmr1.models.gguf_vocabulary import read_gguf_head
from rmr1.results import CheckResult

FILES, TEMPLATE, SYSTEM, THINK, BEGIN = "model files", "chat template", "system role", "think mode", "double BOS"
_INSTRUCTIONS = "rmr1 looks for these instructions"
_QUESTION = "rmr1 looks for this question"
_LARGEST_HEADER = 1 << 28
_TRAINED = "take an instruction-tuned model, or train this one with rmr1 sft first"


class ChatTemplate:
    """A chat template, and what it does with messages.

    Args:
        text: The template.
        begin: Letters of the token that begins a text, or "".
        tokens: Other special tokens that the template may name.
    """

    def __init__(self, text: str, begin: str = "", tokens: Mapping[str, str] | None = None) -> None:
        self.text = text
        self._values = {"bos_token": begin, "eos_token": "", **(tokens or {})}
        self._begin = begin

    def render(self, roles: Sequence[tuple[str, str]]) -> str:
        """The prompt of messages, up to where the answer begins.

        Raises:
            jinja2.TemplateError: The template refuses them, or is none.
        """
        rows = [{"role": role, "content": content} for role, content in roles]
        return self._compiled.render(messages=rows, add_generation_prompt=True, **self._values)

    @cached_property
    def _compiled(self) -> jinja2.Template:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals.update(raise_exception=_refuse, strftime_now=lambda form: "1 January 2026")
        return environment.from_string(self.text)

    @property
    def writes_begin(self) -> bool:
        """Whether it writes the token that begins a text."""
        return bool(self._begin) and self.render([("user", _QUESTION)]).startswith(self._begin)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What the files of a model say, before it is loaded.

    Args:
        checks: Whether they are whole.
        template: The chat template, or None.
        adds_begin: Whether the tokenizer puts the token that begins a text before each text.
        context: Tokens that the model attends to, if they say so.
        size: Bytes of its weights.
    """

    checks: tuple[CheckResult, ...]
    template: ChatTemplate | None = None
    adds_begin: bool = False
    context: int | None = None
    size: int = 0


def look_at_files(path: Path) -> ModelFiles:
    """Look at a GGUF file or a Hugging Face folder."""
    return _folder(path) if path.is_dir() else _gguf(path)


def _gguf(path: Path) -> ModelFiles:
    try:
        head = read_gguf_head(path)
    except ModelNotFoundError as error:
        seen, _, _ = str(error).rpartition(";")
        return ModelFiles((CheckResult(FILES, "fail", seen, "fetch the file again, or name another"),))
    size = path.stat().st_size
    if head.missing_bytes:
        seen = f"{path} is cut: {head.missing_bytes:,} of {size + head.missing_bytes:,} bytes are missing"
        return ModelFiles((CheckResult(FILES, "fail", seen, "fetch the file again"),))
    template = ChatTemplate(head.template, head.begin) if head.template else None
    whole = CheckResult(FILES, "ok", f"{path.name} is a whole GGUF file of {size / 1e9:.2f} GB ({head.architecture})")
    return ModelFiles((whole,), template, head.adds_begin, head.context, size)


def _folder(path: Path) -> ModelFiles:
    weights = sorted(path.glob("*.safetensors"))
    problem = next(filter(None, (_damage(one) for one in weights)), None) or _missing_weights(path, weights)
    if problem is not None:
        return ModelFiles((CheckResult(FILES, "fail", problem, "fetch or export the model again"),))
    try:
        config, settings, tokenizer = (_fields(path / name) for name in _JSON_FILES)
    except ValueError as error:
        return ModelFiles((CheckResult(FILES, "fail", str(error), "fetch or export the model again"),))
    if not tokenizer and not (path / "tokenizer.model").is_file():
        seen = f"{path} has no tokenizer.json"
        return ModelFiles((CheckResult(FILES, "fail", seen, "copy the tokenizer of the base model into the folder"),))
    begin = _token(settings.get("bos_token"))
    text = _template_text(path, settings)
    special = {name: _token(value) for name, value in settings.items() if name.endswith("_token")}
    size = sum(one.stat().st_size for one in weights)
    context = config.get("max_position_embeddings")
    return ModelFiles(
        (
            CheckResult(
                FILES, "ok", f"{path} has whole weights of {size / 1e9:.2f} GB, a configuration and a tokenizer"
            ),
        ),
        ChatTemplate(text, begin, special) if text else None,
        bool(settings.get("add_bos_token")) or bool(begin and begin in str(tokenizer.get("post_processor"))),
        context if isinstance(context, int) else None,
        size,
    )


_JSON_FILES = ("config.json", "tokenizer_config.json", "tokenizer.json")


def _fields(path: Path) -> Mapping[str, object]:
    if not path.is_file():
        return {}
    try:
        content = parse_json(read_text(path))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no JSON object")
    return content


def _template_text(folder: Path, settings: Mapping[str, object]) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return read_text(file)
    found = settings.get("chat_template")
    if isinstance(found, list):
        named = {one.get("name"): one.get("template") for one in found if isinstance(one, Mapping)}
        found = named.get("default")
    return found if isinstance(found, str) and found.strip() else None


def _token(value: object) -> str:
    content = value.get("content") if isinstance(value, Mapping) else value
    return content if isinstance(content, str) else ""


def _damage(path: Path) -> str | None:
    """What is wrong with a file of weights; None for a whole one."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            if length > min(_LARGEST_HEADER, size):
                raise ValueError("its head is longer than the file")
            header = parse_json(file.read(length).decode())
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    except (ValueError, struct.error, KeyError, TypeError, AttributeError, IndexError) as error:
        return f"{path} is no whole safetensors file ({error})"
    missing = 8 + length + max(ends, default=0) - size
    return f"{path} is cut: {missing:,} of {size + missing:,} bytes are missing" if missing > 0 else None


def _missing_weights(folder: Path, weights: Sequence[Path]) -> str | None:
    index = folder / "model.safetensors.index.json"
    try:
        listed = _fields(index).get("weight_map", {})
    except ValueError as error:
        return str(error)
    there = {one.name for one in weights}
    missing = sorted(set(map(str, listed.values())) - there) if isinstance(listed, Mapping) else []
    if missing:
        return f"{folder} lacks {missing[0]}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
    return None if weights or any(folder.glob("*.bin")) else f"{folder} has no weights (*.safetensors)"


def check_template(files: ModelFiles) -> CheckResult:
    """Whether there is a chat template that can be rendered."""
    if files.template is None:
        seen = "the model has no chat template: it was not trained for conversations, or its tokenizer lost it"
        return CheckResult(TEMPLATE, "fail", seen, _TRAINED)
    try:
        prompt = files.template.render([("user", _QUESTION)])
    except jinja2.TemplateError as error:
        return CheckResult(
            TEMPLATE, "fail", f"the chat template fails on a user message ({error})", "repair it, or " + _TRAINED
        )
    if _QUESTION not in prompt:
        return CheckResult(
            TEMPLATE, "fail", "the chat template leaves the user message out", "repair it, or " + _TRAINED
        )
    return CheckResult(TEMPLATE, "ok", "the model has a chat template, and it renders")


def check_system(template: ChatTemplate) -> CheckResult:
    """What the chat template does with a system message."""
    fix = "pass --system-role merge: the instructions then stand at the head of the user message"
    try:
        prompt = template.render([("system", _INSTRUCTIONS), ("user", _QUESTION)])
    except jinja2.TemplateError as error:
        return CheckResult(SYSTEM, "fail", f"the chat template refuses the system role ({error})", fix)
    if _INSTRUCTIONS not in prompt:
        return CheckResult(SYSTEM, "fail", "the chat template leaves system messages out, and says nothing", fix)
    return CheckResult(SYSTEM, "ok", "the chat template takes a system message")


def check_begin(files: ModelFiles) -> CheckResult:
    """Whether both the chat template and the tokenizer write the token that begins a text."""
    template = files.template
    if template is None or not (template.writes_begin and files.adds_begin):
        return CheckResult(BEGIN, "ok", "template and tokenizer do not both write the token that begins a text")
    seen = "the chat template writes the token that begins a text, and the tokenizer adds another"
    fix = "rmr1's own engines send one; on a server, leave add_special_tokens off for chat (vLLM's default)"
    return CheckResult(BEGIN, "warn", seen, fix)


def opens_think(template: ChatTemplate) -> bool:
    """Whether the chat template opens a think block before the first token of an answer."""
    return template.render([("user", _QUESTION)]).rstrip().endswith("<think>")
