"""What a person sees of a run: progress, tables on the terminal, HTML."""
