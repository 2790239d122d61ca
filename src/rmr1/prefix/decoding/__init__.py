"""Sequences that are decoded together over shared beginnings: prompts, rows, keys and values, sampling."""
