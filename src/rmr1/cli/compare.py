"""``rmr1 compare``: any number of judges side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rmr1.benchmarks import ITEMS, compare_runs
from rmr1.cli.options import OUTPUT
from rmr1.cli.report import ProtocolOption, VotesOption, checked_protocol, numbers_of
from rmr1.cli.streams import tell, write_json
from rmr1.errors import ConfigError
from rmr1.report.comparison import comparison_csv, comparison_tables, write_comparison
from rmr1.report.tables import markdown, print_tables


def compare_judges(
    runs: Annotated[
        list[Path], typer.Argument(help="Runs of rmr1 judge or rmr1 eval, or folders of released logs; two or more.")
    ],
    protocol: ProtocolOption = "official",
    votes: VotesOption = None,
    cells: Annotated[
        bool, typer.Option("--cells", help="Also every subset or category.", rich_help_panel=OUTPUT)
    ] = False,
    items: Annotated[
        int,
        typer.Option(
            min=0,
            help="Keep N differing pairs with all texts, for --html and --json.",
            rich_help_panel=OUTPUT,
            metavar="N",
        ),
    ] = ITEMS,
    html: Annotated[
        Path | None,
        typer.Option(help="Also write a page, with the differing pairs.", rich_help_panel=OUTPUT, metavar="PATH"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.", rich_help_panel=OUTPUT)] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print every figure and difference as CSV.", rich_help_panel=OUTPUT)
    ] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the tables as Markdown.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Compare judges on the pairs that all of them have judged: ranks, wins, agreement, and where they differ.

    Pairs are known by their texts: file names, ids and sides may differ.
    """
    shown = checked_protocol(protocol)
    if as_json + as_csv + as_markdown > 1:
        raise ConfigError("--json, --csv, --markdown: one of them is printed; name one")
    counted = numbers_of(votes, len(runs))
    found = compare_runs(runs, protocol=shown, votes=counted, items=items)
    results = found.results
    if html is not None:  # first: the reader of stdout may go away
        html.parent.mkdir(parents=True, exist_ok=True)
        write_comparison(results, found.samples, html)
        tell(f"written: {html}")
    if as_json:
        write_json(results.to_json())
    elif as_csv:
        sys.stdout.write(comparison_csv(results))
    elif as_markdown:
        sys.stdout.write(markdown(comparison_tables(results, cells=cells)))
    else:
        print_tables(sys.stdout, comparison_tables(results, cells=cells))
