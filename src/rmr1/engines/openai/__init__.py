"""Servers that speak the interface of OpenAI, and its batches."""
