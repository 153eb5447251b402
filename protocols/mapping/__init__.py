"""From what machines really send to canonical records, described in the site file, without code.

`settings` is what a site writes, `faults` says at `check` what is wrong with it, `plan` compiles it once, and a plan's
`records` turns each payload into records; `lines` makes them canonical JSON. `sequence` counts on where a device's
counter wraps, `payload` reads JSON within limits.
"""
