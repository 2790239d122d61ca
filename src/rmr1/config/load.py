"""Layers of configuration: flags over ``--set`` over environment (``RMR1_*``) over YAML files; recipes that ship, by name.

Every value remembers where it came from, so that an error names the flag, the variable, or the file and line to change.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from rmr1.arguments import expect
from rmr1.config.fields import list_keys, option_of, without_none
from rmr1.errors import ConfigError, did_you_mean
from rmr1.files import YamlError, expand_home, parse_yaml, read_text
from rmr1.redaction import redact

_PREFIX = "RMR1_"
_NOT_CONFIGURATION = frozenset({"RMR1_CACHE"})
_IN_A_CHECKOUT = Path(__file__).parents[3] / "recipes"
_LARGEST = 2**63 - 1
Config = TypeVar("Config", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a value was given, as an error calls it, and how that layer spells a key."""

    where: str
    spell: Callable[[str], str]


@dataclass(slots=True)
class _Values:
    """What the layers gave so far, and from where; ``source`` is blamed for what nobody gave."""

    source: str
    values: dict[str, Any]
    origins: dict[str, _Origin]

    def put(self, key: str, value: Any, origin: _Origin) -> None:
        group = self.values
        *path, last = key.split(".")
        for part in path:
            group = group.setdefault(part, {})
            if not isinstance(group, dict):
                raise ConfigError(f'{origin.where}: "{part}" is a value, not a group of keys')
        group[last] = value
        self.origins = {name: known for name, known in self.origins.items() if not name.startswith(f"{key}.")}
        self.origins[key] = origin

    def origin_of(self, location: tuple[int | str, ...]) -> tuple[str, _Origin | None]:
        """The longest part of a place that was given, and its origin; else that of a part of it."""
        for length in range(len(location), 0, -1):
            key = ".".join(map(str, location[:length]))
            if key in self.origins:
                return key, self.origins[key]
        whole = ".".join(map(str, location))
        inner = next((origin for key, origin in self.origins.items() if key.startswith(f"{whole}.")), None)
        return whole, inner if whole else None


def load_config(
    kind: type[Config],
    *,
    file: Path | None = None,
    recipe: Path | None = None,
    settings: Iterable[str] = (),
    flags: Mapping[str, object] | None = None,
    options: Mapping[str, str] | None = None,
    arguments: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Build a configuration from its layers; the first one wins: flags, ``settings``, environment, file, recipe.

    Args:
        kind: The pydantic model to build.
        file: A YAML file with any of its keys.
        recipe: Another one, beneath ``file``.
        settings: ``key=value`` strings; a dot goes into a nested key, as in ``engine.slots=4``; values are YAML.
        flags: Values of the command line by dotted key; None means not given.
        options: What the command line calls a key, where that is not made of the key: ``{"engine.base_url": "--base-url"}``.
        arguments: Values of a Python call by dotted key; they win over flags.
        environment: Variables to read, ``os.environ`` by default: ``RMR1_VOTES``, ``RMR1_ENGINE__SLOTS``.

    Raises:
        ConfigError: A key is unknown or a value is wrong; the message names the key and where it was set.
    """
    read = _Values(str(file or recipe or "configuration"), {}, {})
    for path in (recipe, file):
        if path is not None:
            _read_file(path, read)
    _read_environment(os.environ if environment is None else environment, read)
    for setting in settings:
        _read_setting(setting, read)
    _read_flags(flags or {}, options or {}, read)
    for key, value in (arguments or {}).items():
        read.put(key, value, _Origin("arguments", _quoted))
    try:
        config = kind.model_validate(read.values)
    except ValidationError as error:
        lines = dict.fromkeys(
            _explain(kind, problem["loc"], problem["type"], problem["msg"], read) for problem in error.errors()
        )
        raise ConfigError(redact("; ".join(lines))) from error
    _refuse_huge(config, read)
    return config


def _refuse_huge(config: BaseModel, read: _Values) -> None:
    """Python's integers have no end, those of all that is computed with have."""
    for key in list_keys(type(config)):
        value: Any = config
        for part in key.name.split("."):
            value = getattr(value, part, None)
        if isinstance(value, int) and abs(value) > _LARGEST:
            origin = read.origin_of(tuple(key.name.split(".")))[1]
            where = f"{origin.where}: " if origin else ""
            raise ConfigError(f"{where}{key.name} is too large; it has to be below 2**63")


def resolve_config(kind: type[Config], config: Config | None, settings: Mapping[str, object]) -> Config:
    """The configuration of a Python call: a ready one, or one made of keyword arguments.

    Raises:
        ConfigError: Both are given, a key is unknown, or a value is wrong.
    """
    if config is None:
        return load_config(kind, arguments=settings, environment={})
    if settings:
        raise ConfigError(f"config and {', '.join(settings)}: give either a ready config, or its settings")
    expect("config", config, kind, f"a {kind.__name__}, or its settings as further arguments", error=ConfigError)
    return config


def is_setting(variable: str) -> bool:
    """Whether an environment variable is read as a setting."""
    return variable.startswith(_PREFIX) and variable not in _NOT_CONFIGURATION


def recipe_names(kind: str) -> tuple[str, ...]:
    """The recipes of a kind, such as ``"sft"``, that ship with the package."""
    return tuple(sorted(path.stem for path in (_recipes() / kind).glob("*.yaml")))


def find_recipe(kind: str, name: str) -> Path:
    """The file of a recipe.

    Args:
        kind: The verb that it is for, such as ``"sft"``.
        name: A path to a YAML file, or the name of a recipe that ships with the package.

    Raises:
        ConfigError: It is neither; the message lists the names.
    """
    shipped = _recipes() / kind / f"{name}.yaml"
    if Path(name).name == name and shipped.is_file():
        return shipped
    path = expand_home(name)
    if path.is_file():
        return path
    known = ", ".join(recipe_names(kind)) or "none"
    near = did_you_mean(name, recipe_names(kind))
    raise ConfigError(f"recipe {name}: neither a file nor a recipe for rmr1 {kind}; the recipes are {known}{near}")


def _recipes() -> Path:
    installed = Path(str(files("rmr1"))) / "recipes"
    return installed if installed.is_dir() else _IN_A_CHECKOUT


def _read_file(file: Path, read: _Values) -> None:
    try:
        content, node = parse_yaml(read_text(file))
    except OSError as error:
        raise ConfigError(str(error)) from error
    except YamlError as error:
        raise ConfigError(f"{file}{'' if error.line is None else f':{error.line}'}: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from error
    if content is None:
        return
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: expected keys and values")
    lines: dict[str, int] = {}
    for key, line in _key_lines(node):
        if key in lines:
            raise ConfigError(f'{file}:{line}: the key "{key}" is there twice, first in line {lines[key]}; drop one')
        lines[key] = line
    for key, value in _flatten(content):
        read.put(key, value, _Origin(f"{file}:{lines.get(key, 1)}: {key}", _quoted))
    inner = {key: _Origin(f"{file}:{line}: {key}", _quoted) for key, line in lines.items()}
    read.origins = inner | read.origins


def _key_lines(node: Any, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Every key of a document, also those inside lists, with its line."""
    if isinstance(node, yaml.MappingNode):
        parts = [(key.value, key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
    elif isinstance(node, yaml.SequenceNode):
        parts = [(str(number), value, value) for number, value in enumerate(node.value)]
    else:
        return
    for name, marked, value in parts:
        if name != "<<":
            yield f"{prefix}{name}", marked.start_mark.line + 1
        yield from _key_lines(value, f"{prefix}{name}.")


def _flatten(content: Mapping[Any, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict) and value:  # an empty one means that there is such a part, with its defaults
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _read_environment(environment: Mapping[str, str], read: _Values) -> None:
    def spell(key: str) -> str:
        return f"{_PREFIX}{key.upper().replace('.', '__')}"

    for name, text in sorted(environment.items()):
        if is_setting(name):
            where = f"{name}={text}"
            key = name.removeprefix(_PREFIX).lower().replace("__", ".")
            read.put(key, _yaml_value(text, where), _Origin(where, spell))


def _read_setting(setting: str, read: _Values) -> None:
    key, equals, text = setting.partition("=")
    where = f"--set {setting}"
    if not equals or not key:
        raise ConfigError(f'{where}: expected key=value, such as "--set votes=4"')
    read.put(key, _yaml_value(text, where), _Origin(where, _quoted))


def _read_flags(flags: Mapping[str, object], options: Mapping[str, str], read: _Values) -> None:
    def spell(key: str) -> str:
        return options.get(key) or option_of(key)

    for key, value in flags.items():
        if value is not None:
            shown = "" if isinstance(value, bool | list | tuple | dict) else f" {value}"
            read.put(key, value, _Origin(f"{spell(key)}{shown}", spell))


def _yaml_value(text: str, where: str) -> Any:
    try:
        return parse_yaml(text)[0]
    except YamlError as error:
        raise ConfigError(f"{where}: not a YAML value; put it into quotes") from error


def _quoted(key: str) -> str:
    return f'"{key}"'


def _explain(kind: type[BaseModel], location: tuple[int | str, ...], problem: str, said: str, read: _Values) -> str:
    key, origin = read.origin_of(location)
    where = origin.where if origin else read.source
    if problem == "extra_forbidden":
        unknown = ".".join(map(str, location))
        spell = origin.spell if origin else _quoted
        return f"{where.removesuffix(f': {unknown}')}: {_unknown_key(kind, location, spell)}"
    message = said.removeprefix("Value error, ").removeprefix("Input ")
    if not location:
        return f"{message}{_culprits(message, read)}"
    if origin is None or where == "arguments":
        return f"{where}: {'.'.join(map(str, location)) if origin else key}: {message}"
    return f"{where}: {message}"


def _culprits(message: str, read: _Values) -> str:
    """Where the keys that a message names were set."""
    words = set(re.findall(r"\w+", message.replace("-", "_")))
    found = [origin.where for key, origin in read.origins.items() if key.rpartition(".")[2] in words]
    named = [where for where in dict.fromkeys(found) if where != "arguments" and where not in message]
    return f" (set by {', '.join(named)})" if named else ""


def _unknown_key(kind: type[BaseModel], location: tuple[int | str, ...], spell: Callable[[str], str]) -> str:
    key = ".".join(map(str, location))
    group = key.rpartition(".")[0]
    beside = [f"{group}.{name}" if group else name for name in _names_beside(kind, location)]
    known = [*beside, *(one.name for one in list_keys(kind))]
    last = key.rpartition(".")[2]
    nearest = [one for one in known if one.rpartition(".")[2] == last] or get_close_matches(key, known, 1)
    if nearest:
        return f'unknown key "{key}"; did you mean {spell(nearest[0])}?'
    return f'unknown key "{key}"; the keys are {", ".join(map(spell, beside or known))}'


def _names_beside(kind: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The fields of the model that a place stands in, through groups, lists and mappings."""
    found: Any = kind
    for part in location[:-1]:
        if isinstance(found, type) and issubclass(found, BaseModel):
            info = found.model_fields.get(str(part))
            found = None if info is None else without_none(info.annotation)
        elif get_origin(found) in (list, dict):
            found = get_args(found)[-1]
        else:
            return []
    return list(found.model_fields) if isinstance(found, type) and issubclass(found, BaseModel) else []
