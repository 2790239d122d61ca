"""Judging one or a million comparisons: orders, votes, confidence, runs."""

from rmr1.judging.budget import SPENT, Account, Budget, Gate, paid_before, prices_of_judge, prices_of_model, spending
from rmr1.judging.choice import choice_of, plan_choice
from rmr1.judging.completions import (
    ComparisonLayout,
    Completion,
    CompletionReader,
    concluded_run,
    recorded_completions,
    refuse_pair,
)
from rmr1.judging.judge import Judge
from rmr1.judging.loops import run_blocking
from rmr1.judging.plan import DEFAULT_TEMPLATE, JudgingPlan, ScoringPlan, plan_judging, plan_scalar, template_advice
from rmr1.judging.run import JudgeCallbacks, JudgeRun, JudgeRunResult, judge_pairs
from rmr1.judging.runner import JudgeRequest, RequestLog, RequestRunner, all_notes
from rmr1.judging.stopping import StoppingRule, VoteLedger
from rmr1.judging.task import PairTask, SourceGuard
from rmr1.judging.texts import TEXTS, fingerprint, keep_texts, read_texts
from rmr1.judging.votes import JudgmentTally, combine, needed, preference, reward_probability, score_list

__all__ = [
    "DEFAULT_TEMPLATE",
    "SPENT",
    "TEXTS",
    "Account",
    "Budget",
    "ComparisonLayout",
    "Completion",
    "CompletionReader",
    "Gate",
    "Judge",
    "JudgeCallbacks",
    "JudgeRequest",
    "JudgeRun",
    "JudgeRunResult",
    "JudgingPlan",
    "JudgmentTally",
    "PairTask",
    "RequestLog",
    "RequestRunner",
    "ScoringPlan",
    "SourceGuard",
    "StoppingRule",
    "VoteLedger",
    "all_notes",
    "choice_of",
    "combine",
    "concluded_run",
    "fingerprint",
    "judge_pairs",
    "keep_texts",
    "needed",
    "paid_before",
    "plan_choice",
    "plan_judging",
    "plan_scalar",
    "preference",
    "prices_of_judge",
    "prices_of_model",
    "read_texts",
    "recorded_completions",
    "refuse_pair",
    "reward_probability",
    "run_blocking",
    "score_list",
    "spending",
    "template_advice",
]
