"""Judgments and summaries of runs as text on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TextIO

from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from rmr1.records import Judgment, Message, PreferencePair, Usage, Vote
from rmr1.report.pairs import OUTCOMES, figure_rows, interval, share, spending_rows
from rmr1.report.terminal import literal, terminal_console
from rmr1.results import (
    CheckStatus,
    DataResults,
    DistillResults,
    DoctorResults,
    Estimate,
    FaultKind,
    JudgeResults,
    ResponseLengths,
    SplitCounts,
)

_OUTCOMES = {
    **OUTCOMES,
    **dict.fromkeys(("A", "B", "tie"), "every order says so"),
    "unjudged": "not judged: the engine failed",
}


def judgment_as_json(judgment: Judgment) -> dict[str, object]:
    """A judgment as one JSON object; ``winner`` and ``side`` are sides of the pair, ``shown_side`` is what the judge wrote."""
    return {
        "id": judgment.id,
        "outcome": judgment.outcome,
        "winner": judgment.winner,
        "label": judgment.label,
        "correct": judgment.correct,
        "position_consistent": judgment.position_consistent,
        "confidence": judgment.confidence,
        **({} if judgment.scores is None else {"scores": list(judgment.scores)}),
        **({} if judgment.p_a is None else {"p_a": judgment.p_a}),
        "category": judgment.category,
        "verdicts": [
            {
                "order": vote.order,
                "vote": vote.vote,
                "side": vote.side,
                "shown_side": vote.verdict.side,
                "invalid": vote.verdict.invalid,
                "problems": list(vote.verdict.problems),
                "p_a": vote.p_a,
                **({"score": vote.verdict.score} if vote.verdict.scores_one else {}),
                **({"error": vote.error} if vote.error else {}),
            }
            for vote in judgment.votes
        ],
        "traces": list(judgment.traces),
        "usage": {
            "prompt_tokens": judgment.usage.prompt_tokens,
            "completion_tokens": judgment.usage.completion_tokens,
            "cached_tokens": judgment.usage.cached_tokens,
            "unknown": judgment.usage.unknown,
        },
    }


def summary_rows(
    results: JudgeResults, seconds: float = 0.0, answered: int = 0, completion_tokens: int = 0
) -> Iterator[tuple[str, str]]:
    """The lines of a summary: name and value. Time and speed are of this process alone.

    Args:
        results: What the run concludes.
        seconds: Time that this process took.
        answered: Comparisons that were answered in this process.
        completion_tokens: Tokens of those completions.
    """
    yield from figure_rows(results)
    yield "tokens", token_counts(results.tokens)
    yield from spending_rows(results.spending)
    if results.left:
        yield "pairs left, for the budget is used up", f"{results.left:,}; in no figure"
    yield from trouble_rows(results.faults, results.notes)
    if answered:
        speed = f"{seconds:.1f} s, {answered / seconds:.2f} completions/s"
        written = "" if results.tokens.unknown else f", {completion_tokens / seconds:.0f} tokens written/s"
        yield "this process", speed + written


def trouble_rows(faults: Iterable[FaultKind], notes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The lines of a summary about requests that failed, by reason, and about what the server refuses."""
    for kind in faults:
        yield "failed requests", f"{kind.count}: {kind.reason}"
    for note in notes:
        yield "note", note


def token_counts(tokens: Usage) -> str:
    """Tokens in words; those that an engine does not tell are said to be missing, for they are not zero."""
    cached = f", {tokens.cached_tokens} of the prompt from the cache" if tokens.cached_tokens else ""
    unknown = f", and unknown for {tokens.unknown} completions: the engine does not tell" if tokens.unknown else ""
    return f"{tokens.prompt_tokens} prompt, {tokens.completion_tokens} written{cached}{unknown}"


def print_summary(
    stream: TextIO, rows: Iterable[tuple[str, str]], by_category: Mapping[str, Estimate | None] | None = None
) -> None:
    """Print a summary as a table."""
    console = terminal_console(stream)
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in rows:
        table.add_row(escape(name), escape(value))
    for category, estimate in (by_category or {}).items():
        if estimate is not None:
            table.add_row(escape(f"accuracy, {category or 'no category'}"), escape(interval(estimate)))
    console.print(table)


def print_judgment(stream: TextIO, pair: PreferencePair, judgment: Judgment) -> None:
    """Print a pair and everything that the judge wrote about it."""
    console = terminal_console(stream)
    console.rule(f"[bold]{escape(pair.id)}[/bold]")
    console.print(Panel(_text(pair.prompt), title="prompt", title_align="left"))
    for side, response in (("A", pair.response_a), ("B", pair.response_b)):
        better = " (better)" if pair.label == side else " (as good as the other)" if pair.label == "tie" else ""
        console.print(Panel(_text(response), title=f"response {side}{better}", title_align="left"))
    for vote in judgment.votes:
        console.print(
            Panel(escape(vote.text.strip() or "(nothing)"), title=literal(_vote_title(vote)), title_align="left")
        )
    label = f"label {judgment.label}" if judgment.label else "no label"
    told = f"{_OUTCOMES[judgment.outcome]}; {label}"
    console.print(
        f"winner: [bold]{judgment.winner or 'none'}[/bold] ({told}), confidence {judgment.confidence:.2f}, "
        f"orders agree: {'unknown' if judgment.position_consistent is None else judgment.position_consistent}\n"
    )


def _vote_title(vote: Vote) -> str:
    if vote.verdict.scores_one:
        scored = f"invalid: {vote.verdict.invalid}" if vote.verdict.score is None else f"{vote.verdict.score:g}"
        return f"score of {'A' if vote.order == 'ab' else 'B'}: {scored}"
    shown = "A shown first" if vote.order == "ab" else "B shown first, as A"
    verdict = f"for {vote.side}" if vote.side else f"invalid: {vote.verdict.invalid}"
    probability = "" if vote.p_a is None else f", p(A) = {vote.p_a:.2f}"
    return f"completion, {shown}: {verdict}{probability}"


def _text(messages: tuple[Message, ...]) -> str:
    if len(messages) == 1:
        return escape(messages[0].content)
    return "\n".join(f"[bold]{escape(message.role)}:[/bold] {escape(message.content)}" for message in messages)


def print_data_summary(stream: TextIO, results: DataResults) -> None:
    """Print the counts of sources and splits, and the lengths."""
    console = terminal_console(stream)
    console.print(_sources(results))
    console.print(_splits(results.splits))
    for line in _lengths(results.lengths):
        console.print(escape(line))


def _sources(results: DataResults) -> Table:
    total = results.pairs
    table = Table("source", "read", "kept", *(reason.replace("_", " ") for reason in total.dropped), box=None)
    rows = dict(results.sources)
    if len(rows) > 1:
        rows["total"] = total
    for name, counts in rows.items():
        dropped = (str(counts.dropped.get(reason, 0)) for reason in total.dropped)
        table.add_row(escape(name), str(counts.read), str(counts.kept), *dropped)
    return _numbers_right(table)


def _splits(splits: Mapping[str, SplitCounts]) -> Table:
    table = Table("split", "pairs", "rows", "better response is A", box=None)
    for name, split in splits.items():
        table.add_row(escape(name), str(split.pairs), str(split.rows), share(split.label_a_share))
    return _numbers_right(table)


def _lengths(lengths: ResponseLengths) -> list[str]:
    better, worse = lengths.chosen_words, lengths.rejected_words
    if better is None or worse is None:
        return []
    return [
        f"words, better response: mean {better.mean:.1f}, median {better.median:g}; "
        f"worse: mean {worse.mean:.1f}, median {worse.median:g}",
        f"the better response is longer in {share(lengths.chosen_longer)}, as long in {share(lengths.equally_long)}",
    ]


def _numbers_right(table: Table) -> Table:
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def distill_rows(results: DistillResults) -> Iterator[tuple[str, str]]:
    """The lines of a summary: name and value.

    Args:
        results: What the run concludes.
    """
    total = results.comparisons
    yield "comparisons", f"{total} of {results.pairs} pairs"
    for outcome, count, meaning in (
        ("kept", results.kept, "kept (the teacher is right)"),
        ("repaired", results.repaired, "repaired (right at the second pass)"),
        ("rejected", results.rejected, "rejected"),
        ("faulted", results.faulted, "the engine failed; the same command tries again"),
        ("left", results.left, "not tried yet"),
    ):
        if count or outcome in ("kept", "rejected"):
            reasons = results.rejected_by_reason if outcome == "rejected" else {}
            yield meaning, f"{count} ({share(count / total if total else None)}){_counts(reasons)}"
    by_label = ", ".join(f"{side} {count}" for side, count in results.traces_by_label.items())
    yield "traces (by their verdict)", f"{results.traces}" + (f" ({by_label})" if by_label else "")
    for role, one in results.passes.items():
        tokens = token_counts(replace(one.tokens, cached_tokens=0))
        cost = "" if one.cost is None else f", cost {'at least ' if one.tokens.unknown else ''}{one.cost:g}"
        right = share(one.right / one.answered if one.answered else None)
        yield role, f"{one.answered} answers, {right} right{_counts(one.rejected)}; tokens: {tokens}{cost}"
    if results.problems:
        yield "problems of format in the traces", _counts(results.problems).removeprefix(": ")
    yield from trouble_rows(results.faults, results.notes)
    if results.leaked_hints:
        yield "leaked hints, by pattern", _counts(results.leaked_hints).removeprefix(": ")


def _counts(counts: Mapping[str, int]) -> str:
    return ": " + ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items()) if counts else ""


_STATUSES: dict[CheckStatus, str] = {
    "ok": "[green]ok[/green]  ",
    "warn": "[yellow]warn[/yellow]",
    "fail": "[bold red]FAIL[/bold red]",
}


def print_examination(stream: TextIO, results: DoctorResults) -> None:
    """Print what an examination found, a line for each check and one below it for its fix, and what to fix first."""
    console = terminal_console(stream)
    console.print(f"[bold]{escape(results.model)}[/bold]", soft_wrap=True)
    widest = max(len(check.name) for check in results.checks)
    unmade: dict[str, list[str]] = {}
    for check in results.checks:
        if check.status == "skipped":
            unmade.setdefault(check.seen, []).append(check.name)
            continue
        console.print(f"{_STATUSES[check.status]}  {check.name:{widest}}  {escape(check.seen)}", soft_wrap=True)
        if check.fix:
            console.print(f"{'':{widest + 8}}[bold]fix:[/bold] {escape(check.fix)}", soft_wrap=True)
    for reason, names in unmade.items():
        console.print(f"-     {', '.join(names)}: {escape(reason)}", soft_wrap=True)
    counts = f"{results.count('fail')} to fix, {results.count('warn')} warnings, {results.count('skipped')} not checked"
    took = f"{results.requests} requests, {token_counts(results.tokens)}, {results.seconds:.1f} s"
    console.print(f"{counts}; {took}", soft_wrap=True)
