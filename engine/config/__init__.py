"""The site file: structs, faults, secrets."""
