"""Preference pairs from files and hubs, and the order in which a judge sees them.

``open_source`` reads every common shape of preference data and format; docs/data.md shows a sample row of each.
``compare`` turns a pair into what the judge sees.
"""

from __future__ import annotations

from rmr1.data.columns import parse_columns
from rmr1.data.compare import compare, random_order
from rmr1.data.formats import Format, sniff_format
from rmr1.data.shape import Shape
from rmr1.data.source import PairSource, Skipped, open_source

__all__ = [
    "Format",
    "PairSource",
    "Shape",
    "Skipped",
    "compare",
    "open_source",
    "parse_columns",
    "random_order",
    "sniff_format",
]
