"""From what machines really send to canonical records, described in the site file, without code."""
