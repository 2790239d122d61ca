"""Judges side by side: tables, CSV, and the page with every two against each other and the pairs on which they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rmr1.report.figures import Metric, noted
from rmr1.report.judge import SCRIPT
from rmr1.report.page import render_page, write_page
from rmr1.report.samples import FilterChoice, StagedSample, categories
from rmr1.report.tables import Table, csv_text, fact_rows, figure_cells, percent
from rmr1.results import BenchmarkComparison, ComparedRun, CompareResults, Difference, HeadToHead, Standing

LEVEL = 0.05
_TOKENS = ("read/pair", "written/pair")
MARK = "*"
"""Beside a difference beyond chance."""
_CSV = (
    *("run", "against", "benchmark", "kind", "name"),
    *("value", "low", "high", "n", "clusters", "fewest", "p", "p_adjusted", "best_rank", "worst_rank"),
)
NOTES = (
    "Runs are compared on the pairs that all of them have judged, known by their texts: other file names, ids, orders of rows and "
    "exchanged sides do not matter.",
    "Intervals are of 95 %, each by itself. Values of p are corrected for all that stand in the same table (Holm); "
    f"{MARK} marks those below {LEVEL}.",
    "A rank from 1 to 3 says: no judge is better beyond chance, and chance may put two others before it.",
    "Agreement is the share of pairs on which both judges name the same outcome (A, B or a tie), of those on which both name one; "
    "kappa is what of it is beyond chance.",
    "Kinds of judges, by what they are asked for: scalar reward models give each response a number, pointwise judges write a "
    "rating of each, generative ones name the better response, reasoning ones are asked for rubrics, a solution or a thought "
    "first.",
    "Tokens are means over the judged pairs, of all orders and votes; a response that occurs in several pairs is scored once.",
)


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """How the judge of a row stands against that of a column; ``tone`` is "better", "worse" or ""."""

    text: str
    interval: str
    chance: str
    tone: str


@dataclass(frozen=True, slots=True)
class ComparisonSection:
    """One benchmark of the page.

    Args:
        title: Its name.
        policy: What a pair is worth, and how many were compared.
        scores: The headline of each judge.
        names: The judges, as the matrix has them.
        matrix: For each judge its cells, one for each judge; None for itself.
        tables: Ranks, agreement, figures, cells.
        samples: The pairs on which judges differ.
        differing: How many there are.
        remarks: What qualifies the figures.
    """

    title: str
    policy: str
    scores: tuple[Metric, ...]
    names: tuple[str, ...]
    matrix: tuple[tuple[MatrixCell | None, ...], ...]
    tables: tuple[Table, ...]
    samples: tuple[StagedSample, ...]
    differing: int
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """What the page says; ``facts`` are the settings of each judge."""

    title: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[ComparisonSection, ...]
    notes: tuple[str, ...]


def comparison_tables(results: CompareResults, *, cells: bool = False, listed: int = 20) -> Iterator[Table]:
    """Tables of a comparison, for a terminal.

    Args:
        results: Of the comparison.
        cells: Also every subset or category.
        listed: How many differing pairs to list.
    """
    for found in results.benchmarks.values():
        if found.problem is not None:
            yield Table(found.title, ("what", "why"), (("nothing to compare", found.problem),))
            continue
        yield ranks_table(results, found)
        yield matrix_table(found)
        yield versus_table(found)
        yield from figure_tables(found, cells=cells)
        if found.items:
            yield _listed(found, listed)
    said = tuple(_qualifying(results))
    if said:
        yield Table("What qualifies these figures", ("of", "what"), said)


def ranks_table(results: CompareResults, found: BenchmarkComparison) -> Table:
    """The judges with their headline and rank, the highest first."""
    rows = tuple(
        (
            *(name, results.runs[name].judge.engine, results.runs[name].kind or "n/a"),
            *(*_score(standing, found.headline), _rank(standing), *_counts(standing), *_costs(standing)),
        )
        for name, standing in _by_score(found)
    )
    about = f"{found.title}, protocol {results.protocol}" if results.protocol else found.title
    on = f" on {found.pairs:,} pairs" if results.paired else ""
    score = found.headline or "score"
    columns = ("run", "judge", "kind", score, "95 %", "n", "rank", "judged", "unjudged", "invalid", *_TOKENS)
    return Table(f"{about}{on}: {found.policy}", columns, rows)


def matrix_table(found: BenchmarkComparison) -> Table:
    """Each judge against each: row less column, in points."""
    names = tuple(found.runs)
    rows = tuple(
        (name, *("" if cell is None else cell.text for cell in cells))
        for name, cells in zip(names, _matrix(found), strict=True)
    )
    return Table(f"Row less column, in points; {MARK} is beyond chance", ("run", *names), rows)


def versus_table(found: BenchmarkComparison) -> Table:
    """Every two judges: difference, chance, pairs won, agreement."""
    columns = ("one", "other", "other less one", "95 %", "p", "p (Holm)", "one ahead", "other ahead")
    rows = tuple(
        (
            *(one.first, one.second, *_difference_cells(one.difference)),
            *(_count(one.first_ahead), _count(one.second_ahead), *_agreement(one)),
        )
        for one in found.versus
    )
    return Table("Two by two, in points", (*columns, "agree", "agree, 95 %", "kappa"), rows)


def figure_tables(found: BenchmarkComparison, *, cells: bool = True) -> Iterator[Table]:
    """Figures besides the headline, and cells: the first judge's value, and the others' with what they are above it."""
    kinds = [("Figures", [(one.metrics, one.from_first) for one in found.runs.values()])]
    if cells:
        kinds.append(("Categories", [(one.cells, one.cells_from_first) for one in found.runs.values()]))
    for title, each in kinds:
        names = list(dict.fromkeys(name for figures, _ in each for name in figures))
        if len(names) < 2:
            continue
        rows = []
        for name in names:
            n = next((figures[name].n for figures, _ in each if name in figures), None)
            texts = (
                percent(figures[name].value) + _above(differences.get(name)) if name in figures else ""
                for figures, differences in each
            )
            caveat = next((figures[name].caveat for figures, _ in each if name in figures), "")
            rows.append((name, *texts, _count(n), caveat))
        first = next(iter(found.runs), "")
        heading = f"{title}, with the difference to {first} in points; {MARK} is beyond chance"
        yield Table(heading, (title.lower(), *found.runs, "n", "interval"), tuple(rows))


def comparison_csv(results: CompareResults) -> str:
    """Every figure, difference and agreement, one a line, with the run that it is of; values are parts of 1."""
    return csv_text(
        _CSV, (row for name, found in results.benchmarks.items() for row in _csv_rows(results, name, found))
    )


def _csv_rows(results: CompareResults, benchmark: str, found: BenchmarkComparison) -> Iterator[tuple[object, ...]]:
    first = next(iter(results.runs), "")
    for name, standing in found.runs.items():
        for kind, figures in (("metric", standing.metrics), ("cell", standing.cells)):
            for figure, one in figures.items():
                ranks = (standing.best_rank, standing.worst_rank) if figure == found.headline else (None, None)
                values = (one.value, one.low, one.high, one.n, one.clusters, one.fewest, None, None)
                yield (name, "", benchmark, kind, figure, *values, *ranks)
        for kind, differences in (
            ("difference", standing.from_first),
            ("cell difference", standing.cells_from_first),
        ):
            for figure, difference in differences.items():
                yield (name, first, benchmark, kind, figure, *_difference_values(difference))
    for name, standing in found.runs.items():
        yield from _csv_costs(name, results.runs[name].kind or "", benchmark, standing)
    for versus in found.versus:
        about = (versus.second, versus.first, benchmark)
        if versus.difference:
            yield (*about, "versus", found.headline, *_difference_values(versus.difference))
        if versus.agreement:
            share = versus.agreement
            counts = (share.n, share.clusters, share.fewest)
            ends = (share.value, share.low, share.high)
            yield (*about, "agreement", "same outcome", *ends, *counts, None, None, None, None)
            yield (*about, "agreement", "kappa", versus.kappa, *(None,) * 9)


def _csv_costs(run: str, kind: str, benchmark: str, standing: Standing) -> Iterator[tuple[object, ...]]:
    yield (run, "", benchmark, "judge", kind, *(None,) * 10)
    for figure, value in (
        ("invalid share", standing.invalid),
        ("tokens read per pair", standing.read_per_pair),
        ("tokens written per pair", standing.written_per_pair),
    ):
        if value is not None:
            yield (run, "", benchmark, "cost", figure, value, None, None, standing.judged, *(None,) * 6)


def write_comparison(results: CompareResults, samples: Mapping[str, Sequence[StagedSample]], path: Path) -> None:
    """Write the page of a comparison, whole or not at all.

    Args:
        results: What it concludes.
        samples: The differing pairs of each benchmark.
        path: The file.
    """
    write_page(render_comparison(results, samples), path)


def render_comparison(results: CompareResults, samples: Mapping[str, Sequence[StagedSample]]) -> str:
    """Return the page of a comparison as one HTML document; equal comparisons give equal text."""
    sections = tuple(
        _section(results, found, tuple(samples.get(name, ()))) for name, found in results.benchmarks.items()
    )
    report = ComparisonReport(
        title=f"{len(results.runs)} judges compared",
        facts=tuple(fact for name, run in results.runs.items() for fact in fact_rows({name: _facts(run)})),
        sections=sections,
        notes=(*results.notes, *(f"{name}: {why}" for name, why in results.not_compared.items()), *NOTES),
    )
    every = [sample for section in sections for sample in section.samples]
    return render_page(
        "compare_report.html.j2",
        ("page.css", "evaluation.css", "training.css", "comparison.css"),
        SCRIPT if every else None,
        report=report,
        samples=every,
        filters=filters_of(tuple(results.runs), every),
        categories=categories(sample.last for sample in every),
        statuses=sample_statuses,
    )


def filters_of(names: Sequence[str], samples: Sequence[StagedSample]) -> tuple[FilterChoice, ...]:
    """What pairs can be filtered by: which judge alone is right, and which alone is not."""
    found = [status for sample in samples for status in sample_statuses(sample).split()]
    choices = []
    for place, name in enumerate(names):
        for kind, said in (("only", "alone is right"), ("but", "alone is not right")):
            count = found.count(f"{kind}-{place}")
            if count:
                choices.append(FilterChoice(f"{kind}-{place}", f"{name} {said}", count))
    return tuple(choices)


def sample_statuses(sample: StagedSample) -> str:
    """The filters that let a pair through, separated by spaces."""
    right = [judged.status == "right" for _, judged in sample.stages]
    names = []
    if right.count(True) == 1:
        names.append(f"only-{right.index(True)}")
    if right.count(False) == 1:
        names.append(f"but-{right.index(False)}")
    return " ".join(names)


def _section(
    results: CompareResults, found: BenchmarkComparison, samples: tuple[StagedSample, ...]
) -> ComparisonSection:
    if found.problem is not None:
        return ComparisonSection(found.title, f"Nothing to compare: {found.problem}.", (), (), (), (), (), 0, ())
    scores = tuple(
        Metric(name, figure.value, figure.low, figure.high, noted("", figure), "share")
        for name, standing in _by_score(found)
        if (figure := standing.metrics.get(found.headline))
    )
    about = f"Protocol {results.protocol}. " if results.protocol else ""
    pairs = f" On {found.pairs:,} pairs that all have judged." if results.paired else ""
    return ComparisonSection(
        title=found.title,
        policy=f"{about}{found.policy[:1].upper()}{found.policy[1:]}.{pairs}",
        scores=scores,
        names=tuple(found.runs),
        matrix=_matrix(found),
        tables=(replace(ranks_table(results, found), title="Ranks"), versus_table(found), *figure_tables(found)),
        samples=samples,
        differing=found.differing,
        remarks=found.notes,
    )


def _facts(run: ComparedRun) -> str:
    settings = fact_rows({"run": run.path, **asdict(replace(run.judge, template_sha256=None))})
    return "; ".join(f"{name} {value}" for name, value in settings)


def _by_score(found: BenchmarkComparison) -> list[tuple[str, Standing]]:
    def score(one: tuple[str, Standing]) -> float:
        figure = one[1].metrics.get(found.headline)
        return -figure.value if figure else 0.0

    return sorted(found.runs.items(), key=score)


def _score(standing: Standing, headline: str) -> tuple[str, str, str]:
    figure = standing.metrics.get(headline)
    return figure_cells(figure) if figure else ("n/a", "n/a", "n/a")


def _rank(standing: Standing) -> str:
    if standing.best_rank is None:
        return "n/a"
    if standing.best_rank == standing.worst_rank:
        return str(standing.best_rank)
    return f"{standing.best_rank} to {standing.worst_rank}"


def _counts(standing: Standing) -> tuple[str, str]:
    return f"{standing.judged:,}", f"{standing.unjudged:,}"


def _costs(standing: Standing) -> tuple[str, str, str]:
    invalid = "n/a" if standing.invalid is None else percent(standing.invalid)
    tokens = (standing.read_per_pair, standing.written_per_pair)
    return (invalid, *("n/a" if one is None else f"{one:,.0f}" for one in tokens))  # type: ignore[return-value]


def _matrix(found: BenchmarkComparison) -> tuple[tuple[MatrixCell | None, ...], ...]:
    return tuple(
        tuple(None if row == column else _matrix_cell(found.between(row, column), row) for column in found.runs)
        for row in found.runs
    )


def _matrix_cell(versus: HeadToHead | None, row: str) -> MatrixCell:
    difference = versus.difference if versus else None
    if versus is None or difference is None:
        return MatrixCell("n/a", "", "", "")
    sign = 1 if versus.second == row else -1
    ends = sorted(sign * end for end in (difference.low, difference.high) if end is not None)
    beyond = is_beyond_chance(difference)
    above = sign * difference.value > 0
    return MatrixCell(
        _signed(sign * difference.value) + (MARK if beyond else ""),
        " to ".join(map(_signed, ends)),
        "" if difference.p_adjusted is None else f"p {chance(difference.p_adjusted)}",
        ("better" if above else "worse") if beyond else "",
    )


def is_beyond_chance(difference: Difference) -> bool:
    """Whether the corrected p is below the level; where there is no p, whether the interval lies on one side of 0."""
    if difference.p_adjusted is not None:
        return difference.p_adjusted < LEVEL
    return difference.low is not None and difference.high is not None and difference.low * difference.high > 0


def chance(p: float) -> str:
    """A value of p."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _above(difference: Difference | None) -> str:
    if difference is None:
        return ""
    return f" ({_signed(difference.value)}{MARK if is_beyond_chance(difference) else ''})"


def _difference_cells(difference: Difference | None) -> tuple[str, str, str, str]:
    if difference is None:
        return "n/a", "n/a", "n/a", "n/a"
    low, high, p, corrected = difference.low, difference.high, difference.p, difference.p_adjusted
    ends = "n/a" if low is None or high is None else f"{_signed(low)} to {_signed(high)}"
    return (
        _signed(difference.value),
        f"{ends} ({difference.caveat})" if difference.caveat else ends,
        "n/a" if p is None else chance(p),
        "n/a" if corrected is None else chance(corrected),
    )


def _difference_values(difference: Difference) -> tuple[object, ...]:
    ends = (difference.value, difference.low, difference.high)
    return (*ends, None, None, difference.fewest, difference.p, difference.p_adjusted, None, None)


def _agreement(one: HeadToHead) -> tuple[str, str, str]:
    if one.agreement is None:
        return "n/a", "n/a", "n/a"
    kappa = "n/a" if one.kappa is None else f"{one.kappa:.2f}"
    return (*figure_cells(one.agreement)[:2], kappa)


def _listed(found: BenchmarkComparison, listed: int) -> Table:
    rows = tuple(
        (one.id, one.category, one.label or "", *(outcome.winner or "none" for outcome in one.outcomes.values()))
        for one in found.items[:listed]
    )
    more = f", the first {len(rows):,}" if found.differing > len(rows) else ""
    return Table(
        f"{found.differing:,} pairs on which they differ{more}", ("pair", "category", "label", *found.runs), rows
    )


def _qualifying(results: CompareResults) -> Iterator[tuple[str, str]]:
    yield from (("all", note) for note in results.notes)
    for found in results.benchmarks.values():
        yield from ((found.title, note) for note in found.notes)
    yield from ((name, f"not compared: {reason}") for name, reason in results.not_compared.items())


def _signed(value: float) -> str:
    return f"{round(100 * value, 1) + 0.0:+.1f}"  # adding 0 makes 0 of -0


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
