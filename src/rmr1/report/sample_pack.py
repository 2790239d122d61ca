"""Thousands of samples in one page: compressed blocks of markup that the page's script unpacks when they are looked at.

As plain markup, 10,000 samples are more than a browser opens in reasonable time. So each sample's markup is made here, by the
same macros as elsewhere and with every text escaped, and kept as gzip in base64: an index with the line of every sample, and blocks
with their bodies. Base64 has no character that could end the element it stands in.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rmr1.records import Message
from rmr1.report.judge_report import Sample, Status
from rmr1.report.page import macro
from rmr1.report.sample_filters import matching

BLOCK = 50
"""Samples of a block. Opening one sample unpacks its block; searching unpacks all."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What the page's filters know of a sample."""

    status: Status
    position_consistent: bool | None
    category: str
    has_invalid: bool


@dataclass(frozen=True, slots=True)
class PackedSamples:
    """The samples of a page.

    Args:
        listed: What filters know, sample by sample.
        index: Packed: for each sample the filters that let it through, its category, and the markup of its line.
        blocks: Packed: for each of ``BLOCK`` samples the markup of its body, and its texts to search in.
    """

    listed: tuple[Listed, ...]
    index: str
    blocks: tuple[str, ...]


def pack_samples(samples: Iterable[Sample]) -> PackedSamples:
    """Pack samples; they are read once, and only one block of them is held at a time."""
    line, body = macro("sample.html.j2", "sample_line"), macro("sample.html.j2", "sample_body")
    listed: list[Listed] = []
    lines: list[tuple[str, str, str]] = []
    blocks: list[str] = []
    for block in _batched(samples):
        rows = []
        for sample in block:
            rows.append((str(body(sample, len(listed) + 1)), "\n".join(_texts(sample))))
            known = Listed(sample.status, sample.position_consistent, sample.category, sample.has_invalid)
            listed.append(known)
            lines.append((" ".join(matching(known)), sample.category, str(line(sample))))
        blocks.append(_packed(rows))
    return PackedSamples(tuple(listed), _packed(lines), tuple(blocks))


def _batched(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    block: list[Sample] = []
    for sample in samples:
        block.append(sample)
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block


def _texts(sample: Sample) -> Iterator[str]:
    yield sample.id
    yield sample.category
    for messages in (sample.prompt, sample.response_a, sample.response_b):
        yield from _contents(messages)
    for vote in sample.votes:
        yield vote.text


def _contents(messages: Iterable[Message]) -> Iterator[str]:
    return (message.content for message in messages)


def _packed(content: object) -> str:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    # Level 6 is half as large as level 1; beyond it, a page takes longer to write and is hardly smaller. No time, so that equal
    # samples give equal pages.
    data = gzip.compress(text.encode("utf-8", "replace"), compresslevel=6, mtime=0)
    return base64.b64encode(data).decode("ascii")
