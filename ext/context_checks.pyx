"""What the nested fields of context must hold: the decoder checks the flat ones. Each check raises KeyError, TypeError or
ValueError with the path of what does not fit."""

POLICIES = ("SHIP_PARTIAL", "HOLD", "CANCEL_LINE", "BACKORDER")     # their numbers are state.Policy
OVER_TOL_MAX = 1000                 # percent: times the greatest quantity it is an int64


def check_lines(record):
    for row in record["lines"]:
        need(row, "lines[]", line=int, sku=str, qty=int)
        if row.get("short_policy", "SHIP_PARTIAL") not in POLICIES:
            raise ValueError(f"lines[].short_policy: one of {', '.join(sorted(POLICIES))}")
        if not 0 <= row.get("over_tol_pct", 0) <= OVER_TOL_MAX:
            raise ValueError(f"lines[].over_tol_pct: an integer up to {OVER_TOL_MAX} expected")


def check_rma(record):
    for row in record["lines"]:
        need(row, "lines[]", sku=str, qty=int)


def check_cancel(record):
    if not all(type(number) is int and number >= 0 for number in record.get("lines", ())):
        raise ValueError("lines: a list of line numbers expected")


def check_contents(record):
    for row in record.get("contents", ()):
        need(row, "contents[]", order=str, line=int, qty=int)


def check_scope(record):
    for row in record["scope"]:
        need(row, "scope[]", order=str, line=int, qty=int)


def check_tracking(record):
    for row in record.get("tracking", ()):
        need(row, "tracking[]", carton=str, tracking_no=str)


def need(row, where, **types):
    if not isinstance(row, dict):
        raise ValueError(f"{where}: object expected")
    for name, kind in types.items():
        value = row.get(name)
        if type(value) is not kind or (kind is int and not 0 <= value < (2**31 if name == "line" else 2**53)):
            raise ValueError(f"{where}.{name}: {'integer' if kind is int else 'text'} expected")


CHECKS = {
    "order.released": check_lines, "order.changed": check_lines, "order.cancelled": check_cancel,
    "carton.plan": check_contents, "shipment.plan": check_scope, "manifest.result": check_tracking,
    "rma.authorised": check_rma,
}
