"""How a judge withstands responses that are made to win without being better."""

from rmr1.robustness.run import AuditRunResult, audit_judge

__all__ = ["AuditRunResult", "audit_judge"]
