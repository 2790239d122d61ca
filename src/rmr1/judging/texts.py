"""The texts of the pairs of a run, kept beside its journal: what reports show, and what tells whether two runs judged the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rmr1.data import load_pairs, open_pairs, write_pairs
from rmr1.records import Message, PreferencePair
from rmr1.sides import pair_side

TEXTS = "texts.jsonl.gz"


def keep_texts(run: Path, pairs: Iterable[PreferencePair]) -> None:
    """Write the pairs of a run into its directory."""
    write_pairs(run / TEXTS, pairs)


@contextmanager
def keeping_texts(run: Path, pairs: Iterable[PreferencePair]) -> Iterator[Iterator[PreferencePair]]:
    """Give pairs one after another, and write those that were taken into the directory of a run.

    They are written when the context ends. If it ends with an error, a file that is there already stays.
    """
    with open_pairs(run / TEXTS) as add:

        def passed() -> Iterator[PreferencePair]:
            for pair in pairs:
                add(pair)
                yield pair

        yield passed()


def read_texts(run: Path) -> Iterator[PreferencePair]:
    """The pairs of a run, in the order in which it numbers them; nothing where it has none.

    Raises:
        DataError: The file is damaged.
    """
    path = run / TEXTS
    if path.is_file():
        yield from load_pairs(str(path))


def fingerprint(pair: PreferencePair) -> tuple[str, bool]:
    """What pairs of the same content have in common, whatever they are called, wherever they are from, and whichever side is A.

    Returns:
        A hash of the prompt, both responses and which one is better; and whether the pair's sides are to be exchanged for them to
        be those of every pair with this hash.
    """
    texts = [_plain(turns) for turns in (pair.response_a, pair.response_b)]
    turned = texts[0] > texts[1]
    label = pair_side(pair.label, "ba") if turned else pair.label
    content = json.dumps([_plain(pair.prompt), sorted(texts), label])
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest(), turned


def _plain(turns: Iterable[Message]) -> str:
    return json.dumps([asdict(turn) for turn in turns], sort_keys=True, default=str)
