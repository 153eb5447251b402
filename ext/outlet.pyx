# cython: boundscheck=False, wraparound=False, cdivision=True
"""Business events on their way out: see outlet.pxd.

An id is a function of the business key alone: no clock, no counter, no content. An event's bytes are canonical JSON
(sorted keys, no white space), so equal events are equal bytes. A revision leaves only if it says something new.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memset

from ext.batch cimport ABSENT
from ext.correlations cimport concerned
from ext.exceptions cimport COUNTED, LATE, SEVERITIES, Episode, NAMES as CODE_NAMES, lives
from ext.json_writer cimport digest_of, is_same, write_digits
from ext.keys cimport KEY_CYCLE, KEY_LINE, text_key
from ext.sha256 cimport DIGEST_BYTES, sha256
from ext.state cimport B_EPISODE, B_LEDGER
from ext.store cimport UNIT, Block, find

TYPES = (
    ("pick.confirmed", "pc"), ("pick.short", "ps"), ("pick.reversed", "pr"),
    ("carton.closed", "cc"), ("carton.reopened", "co"), ("carton.voided", "cv"),
    ("shipment.ready", "sr"), ("shipment.unready", "su"), ("shipment.manifested", "sm"), ("shipment.voided", "sv"),
    ("inventory.discrepancy", "id"), ("return.received", "rr"), ("return.dispositioned", "rd"),
    ("exception.raised", "xr"), ("exception.cleared", "xc"),
)
cdef enum:
    MAJOR = 1
cdef list NAMES = [name for name, _ in TYPES]
cdef list NAME_BYTES = [name.encode() for name, _ in TYPES]
cdef list CODES = [code.encode() for _, code in TYPES]
cdef list SCHEMAS = [
    f',"datacontenttype":"application/json","dataschema":"urn:sortline:schema:{name}:{MAJOR}","evidence":"'.encode()
    for name, _ in TYPES
]
cdef list TAILS = [f'","type":"io.sortline.{name}.v{MAJOR}"}}'.encode() for name, _ in TYPES]
cdef list EVIDENCES = [b"exact", b"inferred", b"incomplete"]

cdef bytes NO_SEQUENCE = b"0" * 20
cdef const char* BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
cdef int64_t SECOND = 1_000_000
cdef int64_t MINUTE = 60 * SECOND


cdef void write_base32_26(const unsigned char* raw, char* to) noexcept:
    """The first 26 characters of RFC 4648 base32, lower case: the first 130 bits."""
    cdef int i, k
    cdef uint64_t bits
    for i in range(3):                  # five bytes are eight characters
        bits = (<uint64_t>raw[0] << 32 | <uint64_t>raw[1] << 24 | <uint64_t>raw[2] << 16 | <uint64_t>raw[3] << 8
                | <uint64_t>raw[4])
        for k in range(8):
            to[k] = BASE32[bits >> (35 - 5 * k) & 31]
        raw += 5
        to += 8
    to[0] = BASE32[raw[0] >> 3]
    to[1] = BASE32[(raw[0] << 2 | raw[1] >> 6) & 31]


cdef void write_minute(int64_t minute, char* to) noexcept:
    """2026-11-23T08:00: out of minutes since 1970 (proleptic Gregorian; Hinnant's days-to-civil)."""
    cdef int64_t days = minute // 1440, of_day = minute % 1440
    cdef int64_t era, day_of_era, year_of_era, day_of_year, month_from_march, year, month, day
    if of_day < 0:
        of_day += 1440
        days -= 1
    days += 719468
    era = (days if days >= 0 else days - 146096) // 146097
    day_of_era = days - era * 146097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    year = year_of_era + era * 400 + (month <= 2)
    write_digits(to, year, 4)
    to[4] = to[7] = c"-"
    write_digits(to + 5, month, 2)
    write_digits(to + 8, day, 2)
    to[10] = c"T"
    write_digits(to + 11, of_day // 60, 2)
    to[13] = to[16] = c":"
    write_digits(to + 14, of_day % 60, 2)


cdef Fact named_source(int32_t src) noexcept:
    """Stands for a source itself where an event needs a cause: its `dev_id` is the src."""
    cdef Fact fact
    memset(&fact, 0, sizeof(fact))
    fact.src = src
    fact.seq = ABSENT
    return fact


cdef class Outlet:
    def __init__(self, str site, str source, Store store not None, Texts texts not None):
        self.site = site
        self.source = source
        self.store, self.texts = store, texts
        self.data, self.body = JsonWriter(texts), JsonWriter(texts)
        self.key, self.named = JsonWriter(texts), JsonWriter(texts)
        self.key.text_of(source)
        self.source_json = self.key.bytes()
        self.key_heads = [f"{site}|{name}|".encode() for name in NAMES]
        self.waiting = []
        self.known_minute = ABSENT

    cdef int key_is(self, int32_t text) except -1:
        """The business key, or its beginning: whoever tells the event may add to it."""
        self.key.clear()
        return self.key.raw(self.texts.bytes_of(text), self.texts.length_of(text))

    cdef Ledger* ledger(self, int type, int32_t partitionkey) except NULL:
        """Of the business key that stands in `key`."""
        cdef Ledger* ledger = <Ledger*>self.store.new(B_LEDGER, sizeof(Ledger))
        cdef uint8_t digest[DIGEST_BYTES]
        self.named.clear()
        put_bytes(self.named, self.key_heads[type])
        self.named.raw(self.key.at, self.key.length)
        sha256(self.named.at, self.named.length, digest)
        write_base32_26(digest, ledger.id)
        ledger.type = <uint8_t>type
        ledger.partitionkey = partitionkey
        ledger.revision = -1
        return ledger

    cdef bint is_said(self, const Ledger* ledger, int64_t time) noexcept:
        """Whether the last revision said what stands in `data`, at that time."""
        cdef Digest said = self.saying(time)
        return ledger.revision >= 0 and is_same(&said, &ledger.said)

    cdef Digest saying(self, int64_t time) noexcept:
        cdef Digest said = digest_of(self.data.at, self.data.length)
        said.b ^= <uint64_t>time * 0x9E3779B97F4A7C15u
        return said

    cdef bint emit(self, Ledger* ledger, Subject subject, int64_t time, int32_t correlation, const Fact* cause,
                   int evidence) except -1:
        """The next revision, unless it would say what the last one said (R81). Returns whether one left."""
        cdef Digest said = self.saying(time)
        if ledger.revision >= 0 and is_same(&said, &ledger.said):
            return False
        ledger.revision += 1
        ledger.said = said
        self.state.sequence += 1
        self.compose(ledger, subject, time, correlation, cause, evidence)
        return True

    cdef int compose(self, Ledger* ledger, Subject subject, int64_t time, int32_t correlation, const Fact* cause,
                     int evidence) except -1:
        """The members stand in the canonical order. The content's digest is that of the event with a sequence of 0."""
        cdef JsonWriter body = self.body
        cdef Py_ssize_t at_id, id_length, at_sequence
        cdef Digest content
        body.clear()
        body.put(b'{"causationid":"')
        self.write_dev_id(body, cause)
        body.text_member(b'","correlationid":', correlation)
        body.put(b',"data":')
        body.raw(self.data.at, self.data.length)
        put_bytes(body, SCHEMAS[ledger.type])
        put_bytes(body, EVIDENCES[evidence])
        body.put(b'","id":"')
        at_id = body.length
        put_id(body, ledger, ledger.revision)
        id_length = body.length - at_id
        body.text_member(b'","partitionkey":', ledger.partitionkey)
        body.put(b',"sequence":"')
        at_sequence = body.length
        put_bytes(body, NO_SEQUENCE)
        body.put(b'","source":')
        put_bytes(body, self.source_json)
        body.put(b',"specversion":"1.0","subject":"')
        self.write_subject(body, subject)
        if ledger.revision:
            body.put(b'","supersedes":"')
            put_id(body, ledger, ledger.revision - 1)
        body.put(b'","time":"')
        self.write_time(body, time)
        put_bytes(body, TAILS[ledger.type])
        content = digest_of(body.at, body.length)
        write_digits(body.at + at_sequence, self.state.sequence, 20)
        self.waiting.append((
            self.state.sequence, body.at[at_id:at_id + id_length].decode("ascii"), NAMES[ledger.type],
            self.texts.get(ledger.partitionkey), body.bytes(), (<char*>&content)[:sizeof(content)],
        ))
        return 0

    cdef int write_time(self, JsonWriter to, int64_t microseconds) except -1:
        """UTC with six decimals and Z."""
        cdef int64_t minute = microseconds // MINUTE - (microseconds % MINUTE < 0)
        if minute != self.known_minute:
            write_minute(minute, self.minute_text)
            self.known_minute = minute
        microseconds -= minute * MINUTE
        to.raw(self.minute_text, 17)
        to.padded(microseconds // SECOND, 2)
        to.put(b".")
        to.padded(microseconds % SECOND, 6)
        return to.put(b"Z")

    cdef int write_dev_id(self, JsonWriter to, const Fact* fact) except -1:
        """The name of a record for ever: src/epoch/seq/sub, or what its content hashes to; of a source its src."""
        to.escaped(self.texts.bytes_of(fact.src), self.texts.length_of(fact.src))
        if fact.name != NULL:
            to.put(b"/h/")
            return to.raw(fact.name.text, 26)
        if fact.seq == ABSENT:
            return 0
        to.put(b"/")
        to.integer(fact.epoch)
        to.put(b"/")
        to.integer(fact.seq)
        to.put(b"/")
        return to.integer(fact.sub)

    cdef int write_subject(self, JsonWriter to, Subject subject) except -1:
        to.put(subject.head)
        to.escaped(self.texts.bytes_of(subject.key.a), self.texts.length_of(subject.key.a))
        if subject.key.form == KEY_LINE:
            to.put(b"/")
            to.integer(subject.key.number)
        elif subject.key.form == KEY_CYCLE:
            to.put(b"#")
            to.integer(subject.key.number)
        return 0

    cdef int go_on_from(self, dict revisions) except -1:
        """`revisions`: by id without `:rN`, the greatest that was told; the next one of that key comes after it."""
        cdef size_t at = UNIT
        cdef Block* block
        cdef Ledger* ledger
        while at < self.store.top:
            block = <Block*>(self.store.base + at)
            at += <size_t>block.units * UNIT
            if block.type == B_LEDGER:
                ledger = <Ledger*>(block + 1)
                self.key.clear()
                put_id(self.key, ledger, 0)
                told = revisions.get(self.key.bytes()[:-3].decode("ascii"), -1)
                ledger.revision = max(ledger.revision, <int32_t>told)
        return 0

    # ------------------------------------------------------------------------------------------ exceptions

    cdef int raise_(self, int code, int32_t subject, int64_t time, const Fact* cause, str detail) except -1:
        """One event an episode, however often it is seen."""
        cdef uint64_t key = <uint64_t>code << 32 | <uint64_t>subject
        cdef Episode* episode = <Episode*>find(self.state.episodes, key)
        if episode == NULL:
            episode = <Episode*>self.store.new(B_EPISODE, sizeof(Episode))
            self.store.put(self.state.episodes, key, episode)
        episode.t = max(episode.t, time)
        if episode.open:
            episode.count += 1
            return 0
        episode.open, episode.count = True, 1
        episode.number += 1
        self.state.open_episodes[code] += 1
        return self.tell_episode(EXCEPTION_RAISED, code, subject, episode.number, time, cause, detail)

    cdef int clear(self, int code, int32_t subject, int64_t time, const Fact* cause) except -1:
        cdef Episode* episode
        cdef str counted = ""
        if self.state.open_episodes[code] == 0:
            return 0
        episode = <Episode*>find(self.state.episodes, <uint64_t>code << 32 | <uint64_t>subject)
        if episode == NULL or not episode.open:
            return 0
        if lives(code, COUNTED) and episode.count > 1:
            counted = f"told {episode.count} times"
        if lives(code, LATE):
            time = max(time, episode.t)
        episode.open = False
        episode.t = max(episode.t, time)
        self.state.open_episodes[code] -= 1
        return self.tell_episode(EXCEPTION_CLEARED, code, subject, episode.number, time, cause, counted)

    cdef bint is_raised(self, int code, int32_t subject) noexcept:
        cdef Episode* episode = <Episode*>find(self.state.episodes, <uint64_t>code << 32 | <uint64_t>subject)
        return episode != NULL and episode.open

    cdef int forget(self, int code, int32_t subject) noexcept:
        """Its subject has gone: nothing will clear it, and nothing is told. Should it come again, it is numbered on."""
        cdef Episode* episode = <Episode*>find(self.state.episodes, <uint64_t>code << 32 | <uint64_t>subject)
        if episode != NULL:
            self.state.open_episodes[code] -= episode.open
            episode.open = False
        return 0

    cdef int tell_episode(self, int type, int code, int32_t subject, int64_t number, int64_t time, const Fact* cause,
                          str detail) except -1:
        cdef int32_t correlation = concerned(self.state, self.texts, subject, time)
        cdef Ledger* ledger
        cdef JsonWriter data = self.data
        self.key.clear()
        put_bytes(self.key, CODE_NAMES[code].encode())
        self.key.put(b"/")
        self.key.raw(self.texts.bytes_of(subject), self.texts.length_of(subject))
        self.key.put(b"/")
        self.key.integer(number)
        ledger = self.ledger(type, subject)
        data.clear()
        data.put(b'{"code":')
        data.text_of(CODE_NAMES[code])
        data.put(b',"detail":')
        data.text_of(detail)
        data.put(b',"severity":')
        data.text_of(SEVERITIES[code])
        data.text_member(b',"subject":', subject)
        data.put(b"}")
        self.emit(ledger, Subject(head=b"", key=text_key(subject)), time, correlation, cause, EXACT)
        self.store.free(ledger)             # an episode is told once
        return 0

    def take(self):
        """What was emitted since the last take, in order of sequence."""
        cdef list taken = self.waiting
        self.waiting = []
        return taken


cdef inline int put_bytes(JsonWriter to, bytes text) except -1:
    return to.raw(text, len(text))


cdef int put_id(JsonWriter to, const Ledger* ledger, int32_t revision) except -1:
    put_bytes(to, CODES[ledger.type])
    to.integer(MAJOR)
    to.put(b".")
    to.raw(ledger.id, 26)
    to.put(b":r")
    return to.integer(revision)
