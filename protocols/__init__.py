"""One folder a protocol; the table in protocols/registry.py lists them."""
