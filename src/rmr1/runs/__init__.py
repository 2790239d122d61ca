"""Runs: a directory that records what a long job is, what it has done and what came out, so that it can be resumed."""

from rmr1.runs.callbacks import Callbacks, NullCallbacks
from rmr1.runs.directory import RunDirectory, default_run_name, read_manifest
from rmr1.runs.journal import Journal, encode_line, read_records

__all__ = [
    "Callbacks",
    "Journal",
    "NullCallbacks",
    "RunDirectory",
    "default_run_name",
    "encode_line",
    "read_manifest",
    "read_records",
]
