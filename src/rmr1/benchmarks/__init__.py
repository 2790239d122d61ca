"""Public benchmarks of reward models: their data, the protocols that score them, runs, and comparisons of runs.

``evaluate`` judges, scores and reports; ``score_run`` scores what was judged again, without an engine and without the data;
``compare_runs`` says how any number of runs differ; ``sweep`` evaluates with several votes, token limits and templates;
``published_rows`` are the papers' figures; ``leaderboard_entry`` and ``write_inspect_logs`` write a run for other tools. Each
benchmark is a file of its own in ``suite``; an installed package may offer more, and a ``Benchmark`` in a script will do.
"""

from rmr1.benchmarks.benchmark import ALL, PROTOCOLS, STRICT, Benchmark, Entry, Part, Policy, Protocol, Value
from rmr1.benchmarks.comparing import ITEMS, RunComparison, compare_runs
from rmr1.benchmarks.eval_runs import RESULTS, score_run
from rmr1.benchmarks.inspect_logs import write_inspect_logs
from rmr1.benchmarks.judges import (
    JUDGES,
    JUDGES_CSV,
    JUDGES_PAGE,
    JudgeEntry,
    JudgesRunResult,
    evaluate_judges,
    fitting,
    parse_judges,
)
from rmr1.benchmarks.leaderboard import leaderboard_entry, leaderboard_text
from rmr1.benchmarks.loading import Loaded, load
from rmr1.benchmarks.planning import Rates, plan_evaluation, plan_prices
from rmr1.benchmarks.published import PUBLISHED, published_beside, published_rows
from rmr1.benchmarks.released import is_released, score_released
from rmr1.benchmarks.report import evaluation_report, write_evaluation_report
from rmr1.benchmarks.running import REPORT, EvalCallbacks, EvalRunResult, EvalTask, evaluate, evaluate_task
from rmr1.benchmarks.suite.registry import BENCHMARKS, find_benchmark, find_benchmarks
from rmr1.benchmarks.sweeping import PAGE, SWEEP, Axes, SweepRunResult, is_sweep, score_sweep, sweep

__all__ = [
    "ALL",
    "BENCHMARKS",
    "ITEMS",
    "JUDGES",
    "JUDGES_CSV",
    "JUDGES_PAGE",
    "PAGE",
    "PROTOCOLS",
    "PUBLISHED",
    "REPORT",
    "RESULTS",
    "STRICT",
    "SWEEP",
    "Axes",
    "Benchmark",
    "Entry",
    "EvalCallbacks",
    "EvalRunResult",
    "EvalTask",
    "JudgeEntry",
    "JudgesRunResult",
    "Loaded",
    "Part",
    "Policy",
    "Protocol",
    "Rates",
    "RunComparison",
    "SweepRunResult",
    "Value",
    "compare_runs",
    "evaluate",
    "evaluate_judges",
    "evaluate_task",
    "evaluation_report",
    "find_benchmark",
    "find_benchmarks",
    "fitting",
    "is_released",
    "is_sweep",
    "leaderboard_entry",
    "leaderboard_text",
    "load",
    "parse_judges",
    "plan_evaluation",
    "plan_prices",
    "published_beside",
    "published_rows",
    "score_released",
    "score_run",
    "score_sweep",
    "sweep",
    "write_evaluation_report",
    "write_inspect_logs",
]
