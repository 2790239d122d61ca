"""Judging one or a million comparisons: orders, votes, confidence, runs."""

from rmr1.judging.choice import choice_of, plan_choice
from rmr1.judging.completions import Completion
from rmr1.judging.judge import Judge
from rmr1.judging.loops import run_blocking
from rmr1.judging.plan import DEFAULT_TEMPLATE, JudgingPlan, plan_judging
from rmr1.judging.run import JudgeCallbacks, JudgeRun, JudgeRunResult, PairTask, judge_pairs
from rmr1.judging.runner import JudgeRequest, RequestRunner
from rmr1.judging.votes import JudgmentTally, combine

__all__ = [
    "DEFAULT_TEMPLATE",
    "Completion",
    "Judge",
    "JudgeCallbacks",
    "JudgeRequest",
    "JudgeRun",
    "JudgeRunResult",
    "JudgingPlan",
    "JudgmentTally",
    "PairTask",
    "RequestRunner",
    "choice_of",
    "combine",
    "judge_pairs",
    "plan_choice",
    "plan_judging",
    "run_blocking",
]
