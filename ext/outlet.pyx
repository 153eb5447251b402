"""Business events on their way out: see outlet.pxd.

An id is a function of the business key alone: no clock, no counter, no content. An event's bytes are canonical JSON
(sorted keys, no white space), so equal events are equal bytes. A revision leaves only if it says something new.
"""

import base64
import hashlib
from datetime import datetime, timedelta, timezone

import msgspec

CODES = {
    "pick.confirmed": "pc", "pick.short": "ps", "pick.reversed": "pr",
    "carton.closed": "cc", "carton.reopened": "co", "carton.voided": "cv",
    "shipment.ready": "sr", "shipment.unready": "su", "shipment.manifested": "sm", "shipment.voided": "sv",
    "inventory.discrepancy": "id", "return.received": "rr", "return.dispositioned": "rd",
    "exception.raised": "xr", "exception.cleared": "xc",
}
cdef str MAJOR = "1"

# code -> severity. The fact that clears a code stands where the rule that raises it stands.
EXCEPTIONS = {
    "TIME_SKEW": "warning", "TIME_TOO_LATE": "warning",
    "CTX_MISSING": "warning", "CTX_CONFLICT": "error", "CTX_OUTDATED": "info", "CTX_AFTER_CANCEL": "warning",
    "CTX_CANCEL_TOO_LATE": "error",
    "PCK_STALLED": "info", "PCK_OVER": "warning", "PCK_AFTER_CANCEL": "warning", "PCK_PUTBACK_REQUIRED": "warning",
    "PCK_WRONG_SKU": "error", "PCK_LATE_AFTER_SHIP": "error",
    "PKG_EMPTY": "warning", "PKG_DOUBLE_CLOSE": "info", "PKG_TOTE_REBOUND_OPEN": "error",
    "PKG_CONTENT_MISMATCH": "warning", "PKG_WEIGHT_MISMATCH": "warning",
    "PKG_LABEL_NOREAD": "warning", "PKG_LABEL_MISMATCH": "error",
    "SHP_HELD_SHORT": "warning", "SHP_EMPTY": "warning", "SHP_LOAD_BEFORE_READY": "warning",
    "SHP_POST_MANIFEST_CHANGE": "error",
    "RTE_MAX_RECIRC": "warning", "RTE_WRONG_DEST": "warning", "RTE_LOST": "error",
    "ID_UNRESOLVED": "warning",
}

cdef object encode = msgspec.json.Encoder(order="sorted").encode
cdef object EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
cdef str NO_SEQUENCE = "0" * 20
cdef bytes SEQUENCE_FIELD = b'"sequence":"'


def event_id(str site, str type, str key):
    """The id of a business key, without its revision."""
    cdef bytes digest = hashlib.sha256(f"{site}|{type}|{key}".encode()).digest()
    return f"{CODES[type]}{MAJOR}.{base64.b32encode(digest)[:26].decode().lower()}"


def rfc3339(long long microseconds):
    """UTC with six decimals and Z."""
    return (EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


cdef bytes digest16(bytes text):
    return hashlib.blake2b(text, digest_size=16).digest()


cdef class Ledger:
    pass


cdef class Episode:
    cdef int64_t number         # episodes so far, this one included
    cdef int64_t count
    cdef bint open


cdef class Outlet:
    def __cinit__(self, str site, str source):
        self.site = site
        self.source = source
        self.waiting = []
        self.episodes = {}

    cdef Ledger ledger(self, str type, str key, str subject, str partitionkey):
        cdef Ledger ledger = Ledger.__new__(Ledger)
        ledger.id = event_id(self.site, type, key)
        ledger.type = type
        ledger.subject = subject
        ledger.partitionkey = partitionkey
        ledger.revision = -1
        return ledger

    cdef bint emit(self, Ledger ledger, dict data, int64_t time, str correlation, str cause, str evidence) except -1:
        """The next revision, unless it would say what the last one said. Returns whether one left."""
        cdef str at = rfc3339(time)
        cdef bytes said = digest16(encode((data, at)))
        cdef dict event
        cdef bytes body
        cdef Py_ssize_t digits
        if ledger.revision >= 0 and said == ledger.said:
            return False
        ledger.revision += 1
        ledger.said = said
        self.sequence += 1
        event = {
            "specversion": "1.0",
            "id": f"{ledger.id}:r{ledger.revision}",
            "source": self.source,
            "type": f"io.sortline.{ledger.type}.v{MAJOR}",
            "subject": ledger.subject,
            "time": at,
            "datacontenttype": "application/json",
            "dataschema": f"urn:sortline:schema:{ledger.type}:{MAJOR}",
            "correlationid": correlation,
            "causationid": cause,
            "partitionkey": ledger.partitionkey,
            "sequence": NO_SEQUENCE,
            "evidence": evidence,
            "data": data,
        }
        if ledger.revision:
            event["supersedes"] = f"{ledger.id}:r{ledger.revision - 1}"
        body = encode(event)
        digits = body.index(SEQUENCE_FIELD) + len(SEQUENCE_FIELD)
        self.waiting.append((
            self.sequence, event["id"], ledger.type, ledger.partitionkey,
            body[:digits] + b"%020d" % self.sequence + body[digits + 20:], digest16(body),
        ))
        return True

    cdef int raise_(self, str code, str subject, int64_t time, str cause, str detail) except -1:
        """One event an episode; further sights of an open one are counted."""
        cdef Episode episode = self.episodes.get((code, subject))
        if episode is None:
            episode = self.episodes[(code, subject)] = Episode.__new__(Episode)
        episode.count += 1
        if episode.open:
            return 0
        episode.open = True
        episode.number += 1
        self.tell(episode, "exception.raised", code, subject, time, cause, detail)
        return 0

    cdef int clear(self, str code, str subject, int64_t time, str cause) except -1:
        cdef Episode episode = self.episodes.get((code, subject))
        if episode is None or not episode.open:
            return 0
        episode.open = False
        self.tell(episode, "exception.cleared", code, subject, time, cause, "")
        return 0

    cdef bint is_raised(self, str code, str subject):
        cdef Episode episode = self.episodes.get((code, subject))
        return episode is not None and episode.open

    def tell(self, Episode episode, str type, str code, str subject, int64_t time, str cause, str detail):
        cdef Ledger ledger = self.ledger(type, f"{code}/{subject}/{episode.number}", subject, subject)
        self.emit(ledger, {"code": code, "severity": EXCEPTIONS[code], "subject": subject, "detail": detail},
                  time, subject, cause, "exact")

    def take(self):
        """What was emitted since the last take, in order of sequence."""
        cdef list taken = self.waiting
        self.waiting = []
        return taken
