"""Runs: a directory that records what a long job is, what it has done and what came out, so that it can be resumed."""

from rmr1.runs.callbacks import Callbacks, NullCallbacks
from rmr1.runs.directory import (
    MANIFEST,
    Manifest,
    RunDirectory,
    default_run_name,
    read_document,
    read_journal,
    read_ledger,
    read_manifest,
)
from rmr1.runs.journal import Journal, JournalLine, Ledger, encode_line, is_sealed, read_lines

__all__ = [
    "MANIFEST",
    "Callbacks",
    "Journal",
    "JournalLine",
    "Ledger",
    "Manifest",
    "NullCallbacks",
    "RunDirectory",
    "default_run_name",
    "encode_line",
    "is_sealed",
    "read_document",
    "read_journal",
    "read_ledger",
    "read_lines",
    "read_manifest",
]
