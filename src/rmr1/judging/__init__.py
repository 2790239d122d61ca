"""Judging one or a million comparisons: orders, votes, confidence, runs."""

from rmr1.judging.completions import Completion
from rmr1.judging.job import JobResult, JudgeCallbacks, JudgingJob, job_identity
from rmr1.judging.judge import Judge
from rmr1.judging.plan import DEFAULT_TEMPLATE, JudgingPlan, plan_judging
from rmr1.judging.report import headline, judging_report, report_sample
from rmr1.judging.runner import JudgeRequest, RequestRunner
from rmr1.judging.session import judge_source
from rmr1.judging.stream import JudgingStream
from rmr1.judging.summary import Summary
from rmr1.judging.task import PairTask
from rmr1.judging.votes import combine

__all__ = [
    "DEFAULT_TEMPLATE",
    "Completion",
    "JobResult",
    "Judge",
    "JudgeCallbacks",
    "JudgeRequest",
    "JudgingJob",
    "JudgingPlan",
    "JudgingStream",
    "PairTask",
    "RequestRunner",
    "Summary",
    "combine",
    "headline",
    "job_identity",
    "judge_source",
    "judging_report",
    "plan_judging",
    "report_sample",
]
