"""The site file: read, checked, refused with all of its faults."""
