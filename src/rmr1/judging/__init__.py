"""Judging one or a million comparisons: orders, votes, confidence, runs."""

from rmr1.judging.combine import combine
from rmr1.judging.job import JobResult, JudgingJob, default_run_path, job_identity
from rmr1.judging.judge import Judge
from rmr1.judging.plan import JudgingPlan, plan_judging
from rmr1.judging.report import judging_report
from rmr1.judging.session import JudgeTask, judge_source
from rmr1.judging.stream import JudgingStream
from rmr1.judging.summary import Summary

__all__ = [
    "JobResult",
    "Judge",
    "JudgeTask",
    "JudgingJob",
    "JudgingPlan",
    "JudgingStream",
    "Summary",
    "combine",
    "default_run_path",
    "job_identity",
    "judge_source",
    "judging_report",
    "plan_judging",
]
