"""Business events on their way out: see outlet.pxd.

An id is a function of the business key alone: no clock, no counter, no content. An event's bytes are canonical JSON
(sorted keys, no white space), so equal events are equal bytes. A revision leaves only if it says something new.
"""

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
    "SRC_DOWN": "error", "SEQ_GAP": "warning", "TIME_SKEW": "warning", "TIME_TOO_LATE": "warning",
    "CTX_MISSING": "warning", "CTX_CONFLICT": "error", "CTX_OUTDATED": "info", "CTX_AFTER_CANCEL": "warning",
    "CTX_CANCEL_TOO_LATE": "error",
    "PCK_STALLED": "info", "PCK_OVER": "warning", "PCK_AFTER_CANCEL": "warning", "PCK_PUTBACK_REQUIRED": "warning",
    "PCK_WRONG_SKU": "error", "PCK_LATE_AFTER_SHIP": "error",
    "PKG_EMPTY": "warning", "PKG_DOUBLE_CLOSE": "info", "PKG_TOTE_REBOUND_OPEN": "error",
    "PKG_CONTENT_MISMATCH": "warning", "PKG_WEIGHT_MISMATCH": "warning",
    "PKG_LABEL_NOREAD": "warning", "PKG_LABEL_MISMATCH": "error", "ID_SSCC_REUSE": "error",
    "SHP_HELD_SHORT": "warning", "SHP_EMPTY": "warning", "SHP_LOAD_BEFORE_READY": "warning",
    "SHP_POST_MANIFEST_CHANGE": "error", "SHP_PARTIAL_LOAD": "error", "SHP_WRONG_TRAILER": "error",
    "RTE_MAX_RECIRC": "warning", "RTE_WRONG_DEST": "warning", "RTE_LOST": "error",
    "ID_UNRESOLVED": "warning",
    "ID_MULTI": "warning",              # by the identification of its track, else the next read of that scanner
    "RTE_LANE_FULL": "warning", "DEV_JAM": "warning", "DEV_FAULT": "error", "DEV_ESTOP": "error",   # by their clear
    # by the next store or retrieval of that location, unit or crane
    "ASR_SOURCE_EMPTY": "error", "ASR_DEST_OCCUPIED": "error", "ASR_LU_MISMATCH": "error", "ASR_UNREACHABLE": "warning",
    "ASR_PICKUP": "warning", "ASR_DROPOFF": "warning", "ASR_OTHER": "warning",
    "RTN_UNEXPECTED": "warning",        # by its rma.authorised
    "RTN_OVER": "warning",              # by a revision of the RMA that covers it
    "RTN_DUP_SERIAL": "warning",        # by a scan of the serial that counts again
}

cdef object encode = msgspec.json.Encoder(order="sorted").encode
cdef object sha256 = hashlib.sha256
cdef object blake2b = hashlib.blake2b
cdef object EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
cdef bytes NO_SEQUENCE = b"0" * 20
cdef const char* BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
cdef int64_t SECOND = 1_000_000
cdef int64_t MINUTE = 60 * SECOND


def base32_26(bytes digest not None):
    """The first 26 characters of RFC 4648 base32, lower case: the first 130 bits of the digest."""
    cdef char text[26]
    cdef const unsigned char* raw = digest
    cdef int i, bit
    if len(digest) < 17:
        raise ValueError("26 characters of base32 need 17 bytes")
    for i in range(26):
        bit = 5 * i
        text[i] = BASE32[((raw[bit >> 3] << 8 | raw[(bit >> 3) + 1]) >> (11 - (bit & 7))) & 31]
    return text[:26].decode("ascii")


def event_id(str site, str type, str key):
    """The id of a business key, without its revision."""
    return f"{CODES[type]}{MAJOR}.{base32_26(sha256(f'{site}|{type}|{key}'.encode()).digest())}"


cdef int64_t known_minute = -1      # events come in order of time: the text of the last minute is mostly the next one's
cdef str known_text = ""


def rfc3339(int64_t microseconds):
    """UTC with six decimals and Z."""
    global known_minute, known_text
    cdef int64_t minute = microseconds // MINUTE
    if minute != known_minute:
        known_text = (EPOCH + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:")
        known_minute = minute
    microseconds -= minute * MINUTE
    return f"{known_text}{microseconds // SECOND:02d}.{microseconds % SECOND:06d}Z"


cdef bytes digest16(bytes text):
    return blake2b(text, digest_size=16).digest()


cdef class Ledger:
    pass


cdef class Episode:
    cdef int64_t number         # episodes so far, this one included
    cdef int64_t count
    cdef bint open


cdef class Outlet:
    def __init__(self, str site, str source):
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
        """The next revision, unless it would say what the last one said. Returns whether one left.

        The members stand in the canonical order; `data` is encoded once, and its digest tells whether it is news.
        """
        cdef bytes told = encode(data), at = rfc3339(time).encode(), said = digest16(told + at)
        cdef bytes head, tail
        cdef str id, supersedes = ""
        if ledger.revision >= 0 and said == ledger.said:
            return False
        ledger.revision += 1
        ledger.said = said
        self.sequence += 1
        id = f"{ledger.id}:r{ledger.revision}"
        if ledger.revision:
            supersedes = f'"supersedes":"{ledger.id}:r{ledger.revision - 1}",'
        head = b"".join((
            b'{"causationid":', encode(cause), b',"correlationid":', encode(correlation), b',"data":', told,
            (f',"datacontenttype":"application/json","dataschema":"urn:sortline:schema:{ledger.type}:{MAJOR}",'
             f'"evidence":"{evidence}","id":"{id}","partitionkey":').encode(), encode(ledger.partitionkey),
            b',"sequence":"',
        ))
        tail = b"".join((
            b'","source":', encode(self.source), b',"specversion":"1.0","subject":', encode(ledger.subject),
            f',{supersedes}"time":"'.encode(), at, f'","type":"io.sortline.{ledger.type}.v{MAJOR}"}}'.encode(),
        ))
        self.waiting.append((
            self.sequence, id, ledger.type, ledger.partitionkey,
            b"%b%020d%b" % (head, self.sequence, tail), digest16(head + NO_SEQUENCE + tail),
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
