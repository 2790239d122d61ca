"""Preference pairs from files and hubs.

``load_pairs`` reads every common shape of preference data and format; docs/data.md shows a sample row of each.
``split_of`` says which split a pair's prompt belongs to; ``write_pairs`` is the way back to a file.
"""

from __future__ import annotations

from rmr1.data.formats import Format, sniff_format
from rmr1.data.rows import RowTransform
from rmr1.data.shapes import Shape, parse_columns
from rmr1.data.source import DROP_OR_SKIP, PairSource, Skipped, load_pairs
from rmr1.data.split import check_shares, cluster_of, prompt_key, split_of
from rmr1.data.write import open_pairs, pair_row, write_pairs

__all__ = [
    "DROP_OR_SKIP",
    "Format",
    "PairSource",
    "RowTransform",
    "Shape",
    "Skipped",
    "check_shares",
    "cluster_of",
    "load_pairs",
    "open_pairs",
    "pair_row",
    "parse_columns",
    "prompt_key",
    "sniff_format",
    "split_of",
    "write_pairs",
]
