"""What the nested fields of context must hold: kind -> a function that raises for what does not fit."""

from collections.abc import Callable, Mapping
from typing import Any

CHECKS: Mapping[str, Callable[[Mapping[str, Any]], None]]
