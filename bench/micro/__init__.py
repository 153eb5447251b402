"""Micro figures with pytest-benchmark, for whoever changes one part: `make bench-micro`."""
