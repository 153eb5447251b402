"""Named benchmark cases with peers beside us."""
