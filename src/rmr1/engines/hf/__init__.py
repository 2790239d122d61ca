"""Models of transformers in this process: loading, prompts, batches of sequences that are being written."""
