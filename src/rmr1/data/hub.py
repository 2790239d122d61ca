"""Data sets of the Hugging Face hub, streamed, and those saved to a local folder; ``datasets`` is loaded only here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rmr1.data.compressed import file_digest
from rmr1.data.rows import RawRow
from rmr1.errors import DataError, DownloadError, MissingExtraError, RMR1Error

HUB_PREFIX = "hf:"
ADDRESS = re.compile(r"hf:(?P<dataset>[^:@#]+)(:(?P<config>[^@#]+))?(@(?P<revision>[^#]+))?(#(?P<split>.+))?")
SAVED_DATASET = "state.json"
SAVED_SPLITS = "dataset_dict.json"


@dataclass(frozen=True, slots=True)
class HubAddress:
    """The parts of ``hf:OWNER/NAME[:CONFIG][@REVISION][#SPLIT]``; an absent part is None."""

    dataset: str
    config: str | None = None
    revision: str | None = None
    split: str | None = None


def parse_address(text: str) -> HubAddress:
    """Read the address of a data set on the hub.

    Raises:
        DataError: If it has another form.
    """
    match = ADDRESS.fullmatch(text)
    if match is None:
        raise DataError(f"{text}: not an address of the form hf:OWNER/NAME[:CONFIG][@REVISION][#SPLIT]")
    return HubAddress(**match.groupdict())


class HubDataset:
    """One split of a data set on the hub, streamed.

    Its builder is resolved once, so that the fingerprint names the revision that is read, also where the branch moves
    meanwhile.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._address = parse_address(name)

    @property
    def cells_are_text(self) -> bool:
        """Never."""
        return False

    def place(self, number: int, shard: int = 0) -> str:
        """Name a row."""
        return f"{self.name}: row {number}"

    def rows(self) -> Iterator[RawRow]:
        """Yield a row for each record of the split.

        Raises:
            MissingExtraError: If ``datasets`` is not installed.
            DataError: If there is no such data set, configuration or split.
            DownloadError: If the hub cannot be reached.
        """
        records = iter(self._splits[self._split])
        index = 0
        while True:
            try:
                columns = next(records, None)
            except Exception as error:
                raise hub_error(self.place(index + 1), error) from error
            if columns is None:
                return
            yield RawRow(index, index + 1, columns)
            index += 1

    def fingerprint(self) -> str:
        """Return a hash of the data set's name, configuration, resolved revision and split.

        Raises:
            DataError: As ``rows``.
            DownloadError: As ``rows``.
        """
        builder = self._builder
        parts = (self._address.dataset, builder.config.name, str(builder.hash), self._split)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @cached_property
    def _builder(self) -> Any:
        address = self._address
        datasets = load_datasets()
        try:
            return datasets.load_dataset_builder(address.dataset, address.config, revision=address.revision)
        except Exception as error:
            raise hub_error(self.name, error) from error

    @cached_property
    def _splits(self) -> Mapping[str, Iterable[Mapping[str, object]]]:
        try:
            splits: Mapping[str, Iterable[Mapping[str, object]]] = self._builder.as_streaming_dataset()
        except Exception as error:
            raise hub_error(self.name, error) from error
        return splits

    @cached_property
    def _split(self) -> str:
        return choose_split(self.name, self._address.split, self._splits)


def hub_error(place: str, error: Exception) -> Exception:
    """Say in our own terms what went wrong with the hub; our own errors pass unchanged."""
    if isinstance(error, RMR1Error):
        return error
    # datasets raises these for a name, a configuration or a file that does not exist, and all else for the network.
    if isinstance(error, (FileNotFoundError, ValueError)):
        return DataError(f"{place}: {error}")
    return DownloadError(
        f"{place}: the hub cannot be read ({error}); try again, or save the data set to a folder and read that"
    )


class SavedDataset:
    """A folder written by ``datasets.Dataset.save_to_disk``, or one split of a saved ``DatasetDict``."""

    def __init__(self, folder: Path, split: str | None, name: str) -> None:
        self.name = name
        self._folder = folder
        if (folder / SAVED_SPLITS).is_file():
            splits = {child.name: child for child in sorted(folder.iterdir()) if (child / SAVED_DATASET).is_file()}
            self._folder = splits[choose_split(name, split, splits)]
        elif split is not None:
            raise DataError(f"{name}: the folder holds one data set without splits; leave out #{split}")

    @property
    def cells_are_text(self) -> bool:
        """Never."""
        return False

    def place(self, number: int, shard: int = 0) -> str:
        """Name a row."""
        return f"{self.name}: row {number}"

    def rows(self) -> Iterator[RawRow]:
        """Yield a row for each record; the rows stay on disk, memory-mapped.

        Raises:
            MissingExtraError: If ``datasets`` is not installed.
            DataError: If the folder is damaged.
        """
        datasets = load_datasets()
        try:
            records = datasets.load_from_disk(str(self._folder), keep_in_memory=False).with_format(None)
        except Exception as error:
            raise DataError(f"{self.name}: cannot be read as a saved data set ({error})") from error
        for index, columns in enumerate(records):
            yield RawRow(index, index + 1, columns)

    def fingerprint(self) -> str:
        """Return the SHA-256 over the bytes of the folder's Arrow files, in the order of their names.

        Raises:
            DataError: If one of them cannot be read.
        """
        return file_digest(sorted(self._folder.glob("*.arrow")), self.name)


def choose_split(name: str, wanted: str | None, splits: Mapping[str, object]) -> str:
    """Return the wanted split, or the only one.

    Raises:
        DataError: If there is no such split, or if there are several and none is named.
    """
    known = ", ".join(splits)
    if wanted is None:
        if len(splits) == 1:
            return next(iter(splits))
        raise DataError(f"{name}: several splits ({known}); name one: {name}#{next(iter(splits), 'SPLIT')}")
    if wanted not in splits:
        raise DataError(f'{name}: no split "{wanted}"; it has: {known}')
    return wanted


def load_datasets() -> Any:
    """Import ``datasets``.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("reading a Hugging Face data set", "hub") from error
    return datasets
