"""Judging one or a million comparisons: orders, votes, confidence, runs."""

from rmr1.judging.asking import Asking, Question
from rmr1.judging.combine import combine
from rmr1.judging.job import JobResult, JudgingJob, Listener, default_run_path, job_identity
from rmr1.judging.judge import Judge
from rmr1.judging.plan import JudgingPlan, plan_judging
from rmr1.judging.report import headline, judging_report, report_sample
from rmr1.judging.samples import Sample, pair_side
from rmr1.judging.session import JudgeTask, judge_source
from rmr1.judging.stream import JudgingStream
from rmr1.judging.summary import Summary

__all__ = [
    "Asking",
    "JobResult",
    "Judge",
    "JudgeTask",
    "JudgingJob",
    "JudgingPlan",
    "JudgingStream",
    "Listener",
    "Question",
    "Sample",
    "Summary",
    "combine",
    "default_run_path",
    "headline",
    "job_identity",
    "judge_source",
    "judging_report",
    "pair_side",
    "plan_judging",
    "report_sample",
]
