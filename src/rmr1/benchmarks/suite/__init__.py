"""The benchmarks, one file each: where their data are, how a row is read, how figures are made of completions."""
