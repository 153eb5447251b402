"""A physical warehouse, seeded, told over real protocols, with its ground truth. Imports nothing of the engine."""
