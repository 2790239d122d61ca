"""One run of a judge as one self-contained HTML page: figures, tables, and a browser of the judged samples.

The page loads nothing: its style and its script are inline, and its content security policy admits these two by their
hashes and nothing else. No text of a user or a model enters the script; the samples are plain markup that the script
only shows and hides, so that the page can also be read with scripts off.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import jinja2

from rmr1.records import Message, Order, Side
from rmr1.reporting.judge_report import JudgeReport, Metric, Sample, SampleVote, Table, Unit

_TEMPLATE = "judge_report.html.j2"
_MISSING = "n/a"
_NUMBER = r"[-+−±]?\d[\d,.]*([eE][-+]?\d+)?( ?(%|s|ms|/s))?"
_NUMERIC = re.compile(rf"{_NUMBER}( (to|±) {_NUMBER})?|[-–—]|n/a|")
_FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
# The body stops at the next opening tag: a judge stuck in a loop of opening tags would otherwise cost quadratic time.
_TAGGED = re.compile(
    r"<(?P<kind>quote|summary)_(?P<side>[AB])>(?P<body>(?:(?!<(?:quote|summary)_[AB]>).)*?)</(?P=kind)_(?P=side)>",
    re.DOTALL,
)


def render_judge_report(report: JudgeReport) -> str:
    """Return the report as one HTML document; equal reports give equal text.

    Lone surrogates, which models do write and UTF-8 cannot hold, become question marks.
    """
    filters = ["right", "wrong", "tie", "inconsistent", "invalid"]
    counts = {name: sum(_matches(sample, name) for sample in report.samples) for name in [*filters, "unlabelled"]}
    if counts["unlabelled"]:
        filters.append("unlabelled")
    categories = sorted({sample.category for sample in report.samples})
    text = (
        _environment()
        .get_template(_TEMPLATE)
        .render(report=report, filters=filters, counts=counts, categories=categories, missing=_MISSING)
    )
    return text.encode("utf-8", "replace").decode("utf-8")


def write_judge_report(report: JudgeReport, path: Path) -> None:
    """Write the report to ``path``, whole or not at all: readers see the old file until the new one is complete."""
    data = render_judge_report(report).encode("utf-8")
    temporary = path.with_name(f".report-{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class _Bar:
    """A drawn metric: positions on its axis in percent, and the labels of the axis."""

    start: float
    end: float
    low: float | None
    high: float | None
    ticks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of an evaluation. ``shown`` is the side as the judge saw it, ``side`` the pair's; text has neither."""

    kind: Literal["text", "quote", "summary"]
    shown: Side | None
    side: Side | None
    text: str


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rmr1.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        bar=_bar,
        blocks=_blocks,
        csp_hash=_csp_hash,
        figure=_figure,
        interval=_interval,
        is_tall=_is_tall,
        numeric_columns=_numeric_columns,
        pieces=_pieces,
        shown_verdict=_shown_verdict,
    )
    return environment


def _matches(sample: Sample, name: str) -> bool:
    return sample.position_consistent is False if name == "inconsistent" else sample.status == name


def _csp_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _figure(value: float | None, unit: Unit) -> str:
    if value is None or not math.isfinite(value):
        return _MISSING
    if unit == "share":
        return f"{100 * value:.1f} %"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _interval(metric: Metric) -> str:
    """The interval in words, or "" where there is none."""
    if not (_is_known(metric.value) and _is_known(metric.low) and _is_known(metric.high)):
        return ""
    return f"{_figure(metric.low, metric.unit)} to {_figure(metric.high, metric.unit)}"


def _bar(metric: Metric) -> _Bar | None:
    """The drawing of a metric; None for a bare number, which has no scale to be drawn on."""
    if metric.value is None or not math.isfinite(metric.value):
        return None
    known = [x for x in (metric.value, metric.low, metric.high) if x is not None and math.isfinite(x)]
    whiskers = len(known) == 3
    if metric.unit == "share":
        bottom, top, ticks = 0.0, 1.0, ("0", "50", "100 %")
    elif not whiskers or not any(known):
        return None
    else:
        bottom, top = 0.0 - _round_up(-min(known)), _round_up(max(known))
        ticks = (_figure(bottom, "number"), _figure((bottom + top) / 2, "number"), _figure(top, "number"))

    def place(value: float) -> float:
        return round(100 * min(max((value - bottom) / (top - bottom), 0.0), 1.0), 2)

    start, end = sorted((place(0.0), place(metric.value)))
    low, high = (place(known[1]), place(known[2])) if whiskers else (None, None)
    return _Bar(start, end, low, high, ticks)


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 8 and 10 times a power of ten, or 0 where ``value`` is not positive."""
    if value <= 0:
        return 0.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 4, 6, 8) if value <= step * power), 10 * power)


def _numeric_columns(table: Table) -> tuple[bool, ...]:
    """Which columns to set flush right; the first, which names the rows, never."""
    return tuple(
        index > 0
        and any(row[index] for row in table.rows)
        and all(_NUMERIC.fullmatch(row[index]) for row in table.rows)
        for index in range(len(table.columns))
    )


def _is_tall(messages: tuple[Message, ...]) -> bool:
    """Whether the messages need a box that scrolls."""
    return sum(len(message.content) + 80 * message.content.count("\n") for message in messages) > 2500


def _blocks(text: str) -> Iterator[tuple[Literal["prose", "code"], str]]:
    """Split at fenced code, to set it in a fixed width. The fences stay: the reader sees what the judge saw."""
    end = 0
    for match in _FENCED.finditer(text):
        if prose := text[end : match.start()].strip("\n"):
            yield "prose", prose
        yield "code", match.group()
        end = match.end()
    if prose := text[end:].strip("\n"):
        yield "prose", prose


def _pair_side(shown: Side, order: Order) -> Side:
    if order == "ab":
        return shown
    return "B" if shown == "A" else "A"


def _shown_verdict(vote: SampleVote) -> str:
    """The letter that the judge wrote, or "" where the verdict is invalid."""
    # Showing the pair the other way round is its own inverse, so the same swap leads back to the shown side.
    return _pair_side("A" if vote.side == "A" else "B", vote.order) if vote.side in ("A", "B") else ""


def _pieces(vote: SampleVote) -> list[_Piece]:
    """The evaluation in reading order, its tagged spans set apart; then the spans that stand outside it."""
    pieces: list[_Piece] = []
    text, end = vote.sections.evaluation or "", 0

    def add_plain(plain: str) -> None:
        if plain.strip():
            pieces.append(_Piece("text", None, None, plain.strip()))

    def add_span(kind: str, shown: Side, body: str) -> None:
        pieces.append(
            _Piece("quote" if kind == "quote" else "summary", shown, _pair_side(shown, vote.order), body.strip())
        )

    for match in _TAGGED.finditer(text):
        add_plain(text[end : match.start()])
        add_span(match["kind"], "A" if match["side"] == "A" else "B", match["body"])
        end = match.end()
    add_plain(text[end:])

    found = {(piece.kind, piece.shown, piece.text) for piece in pieces}
    sections = vote.sections
    lists: tuple[tuple[Literal["quote", "summary"], Side, tuple[str, ...]], ...] = (
        ("quote", "A", sections.quotes_a),
        ("quote", "B", sections.quotes_b),
        ("summary", "A", sections.summaries_a),
        ("summary", "B", sections.summaries_b),
    )
    for kind, shown, bodies in lists:
        for body in bodies:
            if (kind, shown, body.strip()) not in found:
                add_span(kind, shown, body)
    return pieces
