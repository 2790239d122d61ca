"""Every error that this package raises on purpose.

    RMR1Error
    ├── InputError (ValueError)            an input is wrong
    │   ├── DataError                      a row or file of pairs
    │   ├── TemplateError                  a prompt template
    │   └── ConfigError                    a flag, an environment variable, a YAML key
    ├── MissingExtraError (ImportError)    an optional dependency is not installed
    ├── ModelNotFoundError (LookupError)   no such model in the catalogue or on disk
    ├── StorageError (OSError)             a file or directory cannot be read or written
    ├── DownloadError (OSError)            a file could not be fetched
    │   └── ChecksumError                  the fetched file is not the pinned one
    ├── EngineError (RuntimeError)         an engine cannot continue at all
    ├── BudgetError (RuntimeError)         what a Judge may spend is spent
    ├── PluginError (RuntimeError)         what an installed package added has failed
    ├── TrainingError (RuntimeError)       a training in separate processes has failed
    └── RunError (RuntimeError)            a run directory
        ├── RunMismatchError               it belongs to another configuration or other data
        ├── RunLockedError                 another process is writing to it
        ├── JournalError                   its journal is damaged, or was changed
        └── ResultsError                   its results are of another kind or version

A failure of a single request is not an error: it is a ``Generation`` whose ``finish_reason`` is ``"error"``.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class RMR1Error(Exception):
    """Base of all errors of this package. The message says what, where, and the fix."""


class InputError(RMR1Error, ValueError):
    """An input is wrong: data, a template or a setting."""


class DataError(InputError):
    """A row or a file of pairs cannot be read."""


class TemplateError(InputError):
    """A prompt template is malformed or unknown."""


class ConfigError(InputError):
    """A flag, an environment variable or a configuration key is wrong."""


class MissingExtraError(RMR1Error, ImportError):
    """An optional dependency is missing.

    Args:
        feature: What the user asked for, such as ``"the llamacpp engine"``.
        extra: The extra of this package that brings it.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional dependency; install it with: pip install 'rmr1[{extra}]'")
        self.extra = extra


class ModelNotFoundError(RMR1Error, LookupError):
    """No such model in the catalogue or on disk."""


class StorageError(RMR1Error, OSError):
    """A file or directory cannot be read or written: no permission, a full disk, a path that is something else."""


class DownloadError(RMR1Error, OSError):
    """A file could not be fetched."""


class ChecksumError(DownloadError):
    """A fetched file is not the one that the catalogue pins."""


class EngineError(RMR1Error, RuntimeError):
    """An engine cannot continue: no request of this run can succeed."""


class BudgetError(RMR1Error, RuntimeError):
    """The budget of a ``Judge`` does not cover a request. Runs end with what they have instead."""


class PluginError(RMR1Error, RuntimeError):
    """An engine, a benchmark or a curriculum family of an installed package has failed; its cause is the package's own error."""


class TrainingError(RMR1Error, RuntimeError):
    """A training in separate processes has failed."""


class RunError(RMR1Error, RuntimeError):
    """A run directory cannot be used."""


class RunMismatchError(RunError):
    """The run directory belongs to another configuration or to other data."""


class RunLockedError(RunError):
    """Another process is writing to the run directory."""


class JournalError(RunError):
    """A journal holds a line that this run did not write there, or that was changed afterwards."""


class ResultsError(RunError):
    """A results file is of another kind or version, or is damaged."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about a name that is not known: the nearest one as a question, or ""."""
    names = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), names, 1)
    return f'; did you mean "{names[close[0]]}"?' if close else ""
