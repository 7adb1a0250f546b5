"""Speed and growth, against peers, in one run: `python -m benchmarks`. README.md says how to read it."""
