"""Sparkplug B: what edge nodes and their devices publish, followed as a host application follows it.

`host` keeps account of nodes, births, aliases and sequence numbers; `records` makes canonical records of what devices
report; `settings` is what a site writes. Source: Eclipse Sparkplug 3.0.
"""
