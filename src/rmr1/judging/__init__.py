"""Judging one or a million comparisons: orders, votes, confidence, runs."""

from rmr1.judging.completions import Sample, pair_side
from rmr1.judging.job import JobResult, JudgingJob, Listener, job_identity
from rmr1.judging.judge import Judge
from rmr1.judging.plan import DEFAULT_TEMPLATE, JudgingPlan, plan_judging
from rmr1.judging.report import headline, judging_report, report_sample
from rmr1.judging.runner import Asking, Question
from rmr1.judging.session import judge_source
from rmr1.judging.stream import JudgingStream
from rmr1.judging.summary import Summary
from rmr1.judging.task import PairTask
from rmr1.judging.votes import combine

__all__ = [
    "DEFAULT_TEMPLATE",
    "Asking",
    "JobResult",
    "Judge",
    "JudgingJob",
    "JudgingPlan",
    "JudgingStream",
    "Listener",
    "PairTask",
    "Question",
    "Sample",
    "Summary",
    "combine",
    "headline",
    "job_identity",
    "judge_source",
    "judging_report",
    "pair_side",
    "plan_judging",
    "report_sample",
]
