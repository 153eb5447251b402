"""Record kinds by number: `NAMES[code]` is the name of the kind; 0 is an unknown kind."""

NAMES: tuple[str, ...]
