"""Where business events go: one module a kind of queue."""
