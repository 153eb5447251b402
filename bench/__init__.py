"""Named benchmarks, each with peers beside it in the same run: see README.md for how to get a figure worth quoting."""
