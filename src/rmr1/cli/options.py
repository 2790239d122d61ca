"""Options made of configuration models: each key is an option with its type, choices, default, help and heading.

A verb declares what is its own and names its model:

    @takes_config(JudgeConfig)
    def judge_file(layers: Layers[JudgeConfig], source: ..., limit: ... = None) -> None:
        config = layers.load()

An option that is not given is None, so that the layers beneath it count: flags, ``--set``, environment, file, recipe, preset.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import wraps
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import typer
from pydantic import BaseModel
from typer.core import TyperCommand, TyperOption

from rmr1.config import Key, find_recipe, list_keys, load_config
from rmr1.errors import ConfigError
from rmr1.files import YamlError, parse_yaml

Config = TypeVar("Config", bound=BaseModel)

ARGUMENTS = "Arguments"
DATA, RUN, OUTPUT, AUDIT = "Data", "Run", "Output", "Audit"
"""Headings of a verb's own options."""

_METAVARS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
_FIRST = (ARGUMENTS, DATA, "Model", "Prompt", "Sampling")
_LAST = (RUN, OUTPUT)


@dataclass(frozen=True, slots=True)
class Layers(Generic[Config]):
    """What the command line says of a configuration.

    Args:
        kind: The model.
        file: ``--config``.
        recipe: ``--recipe``, as a file.
        settings: ``--set``, each of them.
        flags: Values of options by key; None means not given.
        options: The options of the keys.
    """

    kind: type[Config]
    file: Path | None
    recipe: Path | None
    settings: tuple[str, ...]
    flags: Mapping[str, object]
    options: Mapping[str, str]

    def load(self, flags: Mapping[str, object] | None = None) -> Config:
        """The configuration in force; ``flags`` adds values of options by key, or replaces them.

        Raises:
            ConfigError: A key is unknown or a value is wrong.
        """
        return load_config(
            self.kind,
            file=self.file,
            recipe=self.recipe,
            settings=self.settings,
            flags={**self.flags, **(flags or {})},
            options=self.options,
        )


class VerbCommand(TyperCommand):
    """A verb whose ``--help`` groups its options by heading and never cuts one, nor its own line in the list of verbs."""

    def get_short_help_str(self, limit: int = 45) -> str:
        """The first sentence, whole; the list of verbs wraps it."""
        return super().get_short_help_str(sys.maxsize)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse an empty path: it would mean the folder that the user is in, as after ``--run "$UNSET"``."""
        options = [
            one for one in self.params if isinstance(one, TyperOption) and one.type_descriptor.annotation is Path
        ]
        names = [name for option in options for name in option.opts]
        for before, value in pairwise([*args, "x"]):
            name = before[:-1] if before.endswith("=") else before if not value else ""
            if name in names:
                raise typer.BadParameter(f"{name} is empty; name a path", ctx=ctx)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, a section for each heading."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                own = ARGUMENTS if parameter.param_type_name == "argument" else OUTPUT
                panels.setdefault(getattr(parameter, "rich_help_panel", None) or own, []).append(record)
        between = [panel for panel in panels if panel not in (*_FIRST, *_LAST)]
        for panel in (*_FIRST, *between, *_LAST):
            if panel in panels:
                with formatter.section(panel):
                    formatter.write_dl(panels[panel])


def takes_config(
    kind: type[Config], *, without: Collection[str] = (), file: str | None = "--config", recipes: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator that gives a verb an option for every key of a model, ``--set``, and its files of settings.

    Args:
        kind: The model.
        without: Keys that the verb has options of its own for, or none.
        file: The option that names a YAML file; None for a verb that has none.
        recipes: The kind of recipes that ``--recipe`` takes, such as ``"sft"``; None for a verb that has none.
    """
    keys = [key for key in list_keys(kind) if key.name not in without and _is_plain(key)]

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(verb)
        hints = get_type_hints(verb, include_extras=True)
        layers_name, *names = own.parameters
        declared = [own.parameters[name].replace(annotation=hints[name]) for name in names]
        made = [*map(_option, keys), *_files(file, recipes)]

        @wraps(verb)
        def command(**given: Any) -> None:
            verb(**{layers_name: take_layers(kind, given, recipes)}, **given)

        parameters = [*declared, *made]
        required = [one for one in parameters if one.default is inspect.Parameter.empty]
        ordered = [*required, *(one for one in parameters if one not in required)]
        command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in ordered]
        )
        command.__annotations__ = {one.name: one.annotation for one in ordered}
        del command.__wrapped__
        return command

    return decorate


def take_layers(kind: type[Config], given: dict[str, Any], recipes: str | None = None) -> Layers[Config]:
    """Take out of a verb's parsed parameters those that ``takes_config`` declared.

    Raises:
        ConfigError: There is no recipe of the name that was given.
    """
    recipe = given.pop("config_recipe", None)
    keys = list(list_keys(kind))
    return Layers(
        kind,
        given.pop("config_file", None),
        find_recipe(recipes, recipe) if recipes and recipe else None,
        tuple(given.pop("config_settings", None) or ()),
        {key.name: _value(key, given.pop(_variable(key))) for key in keys if _variable(key) in given},
        {key.name: key.option for key in keys},
    )


def default_text(key: Key) -> str:
    """A key's default as ``--help`` and the tables of the docs show it: in YAML, without its quotes."""
    value = key.default
    if value is None or value == "" or value == () or value == [] or value == {}:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {inner}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def _variable(key: Key) -> str:
    return f"key_{key.name.replace('.', '__')}"


def _is_plain(key: Key) -> bool:
    """Whether an option can give it; mappings and lists of groups are for files and ``--set``."""
    if get_origin(key.kind) is dict:
        return get_args(key.kind)[1] is Any
    return not any(isinstance(one, type) and issubclass(one, BaseModel) for one in get_args(key.kind))


def _option(key: Key) -> inspect.Parameter:
    names, metavar, several = key.option, _metavar(key), "; repeat it for several" if key.is_list else ""
    kind: Any = str | None
    if key.kind is bool:
        names, kind, metavar = f"{key.option}/{key.option.replace('--', '--no-', 1)}", bool | None, None
    elif key.is_list:
        kind = list[str] | None
    elif get_origin(key.kind) is tuple:
        kind = tuple[str, str] | None
    option = typer.Option(
        names,
        help=f"{key.meaning}{several}. [default: {default_text(key)}]",
        rich_help_panel=key.panel,
        show_default=False,
        metavar=metavar,
    )
    return inspect.Parameter(
        _variable(key), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
    )


def _metavar(key: Key) -> str | None:
    if key.choices:
        return "|".join(key.choices)
    if get_origin(key.kind) is dict:
        return "YAML"
    if get_origin(key.kind) is tuple and not key.is_list:
        return " ".join(_METAVARS.get(kind, "TEXT") for kind in get_args(key.kind))
    return _METAVARS.get(key.kind, "TEXT")


def _value(key: Key, given: Any) -> Any:
    """What an option gave: None where it was not given; one item for a key that takes a text or a list."""
    if given is None or given == () or given == []:
        return None
    if get_origin(key.kind) is dict:
        try:
            return parse_yaml(given)[0]
        except YamlError as error:
            raise ConfigError(f"{key.option}: not a YAML value; write it as '{{name: value}}'") from error
    if key.is_list and get_origin(key.kind) not in (list, tuple) and len(given) == 1:
        return given[0]
    return list(given) if isinstance(given, list | tuple) else given


def _files(file: str | None, recipes: str | None) -> list[inspect.Parameter]:
    settings = typer.Option(
        "--set", help="Any key as KEY=VALUE, in YAML; repeat it for several.", rich_help_panel=RUN, metavar="KEY=VALUE"
    )
    found: list[tuple[str, Any]] = [("config_settings", Annotated[list[str] | None, settings])]
    if file:
        option = typer.Option(file, help="YAML file with any keys.", rich_help_panel=RUN, metavar="PATH")
        found.append(("config_file", Annotated[Path | None, option]))
    if recipes:
        option = typer.Option(
            "--recipe",
            help="A recipe by name, or a YAML file; --config wins over it.",
            rich_help_panel=RUN,
            metavar="NAME",
        )
        found.append(("config_recipe", Annotated[str | None, option]))
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in found
    ]
