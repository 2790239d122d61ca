"""RMB (Zhou and others 2024, arXiv 2410.09893): 49 scenarios of helpfulness and harmlessness, as pairs and as best of N.

Data: the folder ``RMB_dataset`` of the authors' repository; they name no data set on the hub. A row of a pair, and of best of N::

    {"pair_uid": "1", "conversation_input": [...], "chosen": {"answer": "..."}, "reject": {"answer": "..."}, "category_path": "..."}
    {"bon_uid": "1", "conversation_input": [...], "bon_best": {"answer": "..."}, "loser_list": [{"answer": "..."}, ...], ...}

Pairs: the share that is right. Best of N: the share of prompts whose best response beats every other one. Each for helpfulness
and for harmlessness, and the score is the mean of the four. Invalid verdicts are not right: the authors' own policy could not
be checked.

Sizes of pairs: each is the least number that the accuracies of both released models allow, or the multiple of it that the authors'
file holds (of four scenarios). Those of helpfulness add up to 10,067 and those of harmlessness to 7,064, the denominators of the
overall accuracies, and the means that follow from them are the published ones. The totals of best of N are published.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rmr1.benchmarks.benchmark import RM_R1, STRICT, Benchmark, Entry, FileLayout, Policy, Protocol, Value, by_item
from rmr1.stats import Average

PAIRS, BEST_OF_N = "Pairwise_set", "BoN_set"
GOALS = ("Helpfulness", "Harmlessness")
HARMLESSNESS_PAIRS = {
    "S1": 459,
    "S2": 1040,
    "S3": 739,
    "S4": 537,
    "S5": 561,
    "S6": 317,
    "S7": 510,
    "S8": 519,
    "S9": 543,
    "S10": 360,
    "S11": 977,
    "multi": 502,
}
HELPFULNESS_PAIRS = {
    "Brainstorming/Idea Development": 849,
    "Brainstorming/Problem Solving": 100,
    "Chat/Casual Conversation": 306,
    "Chat/Discussion": 293,
    "Chat/Supportive Conversation": 114,
    "Classification/Content Categorization": 107,
    "Classification/Quality and Compliance Assessment": 57,
    "Closed QA/ContextBased": 447,
    "Closed QA/OptionBased": 473,
    "Code/Data Management": 376,
    "Code/Development and Implementation": 399,
    "Code/Documentation": 65,
    "Code/Quality and Optimization": 384,
    "Generation/Creative Writing": 762,
    "Generation/Professional Content Generation": 347,
    "Open QA/Factual": 664,
    "Open QA/General Explanation": 413,
    "Open QA/Hypothetical Scenarios": 42,
    "Open QA/Interpretative Analysis": 107,
    "Open QA/Personal Opinion and Advice": 78,
    "Open QA/Technical and Practical Support": 238,
    "Reasoning/Analytical Reasoning": 596,
    "Reasoning/Critical Thinking": 200,
    "Reasoning/Human Decision Making": 165,
    "Reasoning/Logical Deduction": 222,
    "Reasoning/Pattern Recognition": 52,
    "Rewrite/Paraphrasing": 83,
    "Rewrite/PostQuality Assessment Rewriting": 222,
    "Rewrite/Textual ExpansionReduction": 50,
    "Rewrite/Tone Adjustment": 103,
    "Role Playing/General Character": 163,
    "Role Playing/Specific Character": 209,
    "Summarization/Specialized Summaries": 189,
    "Summarization/Standard Summaries": 341,
    "Translation/GeneralExcerpt Language Translation": 483,
    "Translation/Literary and Cultural Translation": 176,
    "Translation/Technical and Scientific Translation": 192,
}
SCENARIOS = {"Helpfulness": HELPFULNESS_PAIRS, "Harmlessness": HARMLESSNESS_PAIRS}
SIZES = {
    **{f"{PAIRS}/{goal}/{name}": size for goal, sizes in SCENARIOS.items() for name, size in sizes.items()},
    f"{BEST_OF_N}/Helpfulness": 2109,
    f"{BEST_OF_N}/Harmlessness": 1677,
}
FIGURES = {
    f"{kind} {goal.lower()}": f"{folder}/{goal}"
    for kind, folder in (("pairwise", PAIRS), ("best-of-n", BEST_OF_N))
    for goal in GOALS
}


def metrics(protocol: Protocol = "official") -> Mapping[str, Average]:
    """Score and the four figures that it is the mean of."""
    figures = {name: Average((cell,)) for name, cell in FIGURES.items()}
    return {"score": Average(tuple(figures.values())), **figures}


def goal_of(subset: str) -> str:
    """The set and goal of a scenario: ``Pairwise_set/Helpfulness``."""
    return "/".join(subset.split("/")[:2])


def counted_as(subset: str) -> str:
    """The name under which sizes count a scenario: best of N by goal, pairs by scenario; an unknown one stays what it is."""
    kind, _, rest = subset.partition("/")
    goal, _, scenario = rest.partition("/")
    return goal_of(subset) if kind == BEST_OF_N and scenario in SCENARIOS.get(goal, {}) else subset


def observe(values: Iterable[tuple[Entry, float]]) -> Iterator[Value]:
    """Pairs by themselves; of best of N, a prompt counts if every comparison is won."""
    rest: list[tuple[Entry, float]] = []
    for entry, value in values:
        if entry.subset.startswith(BEST_OF_N):
            rest.append((entry, value))
        else:
            yield Value(value, goal_of(entry.subset), entry.prompt)
    for entry, item in by_item(rest):
        yield Value(float(min(item) >= 1.0), goal_of(entry.subset), entry.prompt)


RMB = Benchmark(
    name="rmb",
    title="RMB",
    source="https://github.com/Zhou-Zoey/RMB-Reward-Model-Benchmark, folder RMB_dataset",
    folders=("RMB_dataset", "RMB", "rmb"),
    sizes=SIZES,
    layouts=(FileLayout((f"{PAIRS}/**/*.json", f"{BEST_OF_N}/**/*.json")),),
    metrics=metrics,
    policies={
        "official": Policy(
            "drawn", note="one order; an invalid verdict is not right; best of N counts if every comparison is won"
        ),
        "rm-r1": RM_R1,
        "strict": STRICT,
    },
    counted_as=counted_as,
    observe=observe,
    whole_items=True,
)
