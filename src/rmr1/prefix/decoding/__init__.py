"""Decoding on shared prefixes: continuous batches of sequences, for rollouts in training and for the hf engine."""
