"""The compiled part: intake decoding, columns, clocks, windows. Nothing here does I/O or reads a clock."""
