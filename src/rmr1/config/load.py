"""Layers of configuration: flags over environment (``RMR1_*``) over a YAML file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from rmr1.errors import ConfigError

_PREFIX = "RMR1_"
_NOT_CONFIGURATION = frozenset({"RMR1_CACHE"})
_BOOLEAN = "tag:yaml.org,2002:bool"
Config = TypeVar("Config", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """Reads ``on``, ``off``, ``yes`` and ``no`` as words, as YAML 1.2 does: they are values of several settings."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOLEAN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOLEAN, re.compile("(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def load_config(
    kind: type[Config],
    *,
    file: Path | None = None,
    settings: Iterable[str] = (),
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Build a configuration from its layers, the later ones first: flags, ``settings``, environment, file.

    Args:
        kind: The pydantic model to build.
        file: A YAML file with any of its keys.
        settings: ``key=value`` strings; a dot goes into a nested key, as in ``engine.slots=4``; values are YAML.
        flags: Values by dotted key; None means not given.
        environment: Variables to read, ``os.environ`` by default: ``RMR1_VOTES``, ``RMR1_ENGINE__SLOTS``.

    Raises:
        ConfigError: A key is unknown or a value is wrong; the message names the key and where it was set.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for key, value, origin in (
        *_from_file(file),
        *_from_environment(os.environ if environment is None else environment),
        *_from_settings(settings),
        *(
            (key, value, f"--{key.rpartition('.')[2].replace('_', '-')}")
            for key, value in (flags or {}).items()
            if value is not None
        ),
    ):
        _put(values, key, value, origin)
        origins[key] = origin
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(kind, error, origins)) from error


def _from_file(file: Path | None) -> list[tuple[str, Any, str]]:
    if file is None:
        return []
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not YAML: {error}") from error
    if content is None:
        return []
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: expected keys and values")
    return [(key, value, str(file)) for key, value in _flatten(content)]


def _flatten(content: Mapping[Any, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict) and value:  # an empty one means that there is such a part, with its defaults
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def is_setting(variable: str) -> bool:
    """Whether an environment variable is read as a setting."""
    return variable.startswith(_PREFIX) and variable not in _NOT_CONFIGURATION


def _from_environment(environment: Mapping[str, str]) -> list[tuple[str, Any, str]]:
    return [
        (name.removeprefix(_PREFIX).lower().replace("__", "."), _value(text, name), name)
        for name, text in sorted(environment.items())
        if is_setting(name)
    ]


def _from_settings(settings: Iterable[str]) -> list[tuple[str, Any, str]]:
    result = []
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise ConfigError(f'--set {setting}: expected key=value, such as "--set votes=4"')
        result.append((key, _value(text, f"--set {key}"), f"--set {key}"))
    return result


def _value(text: str, origin: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: not a value: {text}") from error


def _put(values: dict[str, Any], key: str, value: Any, origin: str) -> None:
    *path, last = key.split(".")
    for part in path:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise ConfigError(f'{origin}: "{part}" is a value, not a group of keys')
    values[last] = value


def _keys_beside(kind: type[BaseModel], key: str) -> Iterable[str]:
    """The keys that are known where an unknown one stands."""
    *path, _ = key.split(".")
    fields = kind.model_fields
    for part in path:
        default = fields[part].default if part in fields else None
        if not isinstance(default, BaseModel):
            return kind.model_fields
        fields = type(default).model_fields
    return fields


def _explain(kind: type[BaseModel], error: ValidationError, origins: Mapping[str, str]) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        where = origins.get(key, "configuration")
        if problem["type"] == "extra_forbidden":
            lines.append(f'{where}: unknown key "{key}"; the keys are {", ".join(_keys_beside(kind, key))}')
        else:
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{where}: {key}: {message}" if key else message)
    return "; ".join(lines)
