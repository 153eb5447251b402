"""The model's tables in C: see record_types.pxd."""

from libc.string cimport memcpy, memset

from ext.json_bytes cimport Bytes
from ext.json_reader cimport name_words, push_key, read_key, read_value
from ext.json_types cimport T_NULL, Key, Reader, Value
from ext.kinds cimport K_UNKNOWN

from ext.kinds import NAMES as KIND_NAMES

NUMBERED = (
    "src epoch seq sub kind t t_rx hist qty weight_g task order line sku lu carton track lot loc dest dest_req code "
    "press alloc"
).split()
ENVELOPE = frozenset(NUMBERED[:N_QTY])
WANTS = {
    "any": W_ANY, "text": W_TEXT, "int": W_INT, "bool": W_BOOL, "texts": W_TEXTS, "nested": W_LIST,
    "src": W_SRC, "int32": W_INT32, "time": W_TIME, "amount": W_AMOUNT,
    "rev": W_REV, "percent": W_PERCENT,
}
NARROWER = {
    "src": "src", "line": "int32", "sub": "int32", "t": "time", "t_rx": "time", "qty": "amount", "weight_g": "amount",
    "tol_g": "amount", "rev": "rev", "over_tol_pct": "percent",
}


cdef class RecordTypes:
    def __init__(self, dict kinds not None, dict fields not None, dict exceptions not None, dict elements not None,
                 dict values not None, dict element_values not None):
        self.alive = []
        self.names = [*NUMBERED, *(name for name in fields if name not in NUMBERED)]
        self.numbers = {name: number for number, name in enumerate(self.names)}
        if len(self.names) > FIELDS_MAX or set(NUMBERED) - set(fields) or set(kinds) != set(KIND_NAMES[1:]):
            raise ValueError("the tables of kinds and fields do not match the columns")
        for name, number in self.numbers.items():
            self.add_name(self.fields, name, number)
            self.add_quoted(name.encode(), number)
        for name in fields:
            wanted = WANTS[NARROWER.get(name, fields[name])] if name in ENVELOPE else W_LATER
            self.wants[<int>K_UNKNOWN].of[<int>self.numbers[name]] = wanted
        for kind, (noise, required) in kinds.items():
            self.add_kind(KIND_NAMES.index(kind), kind, noise, fields, exceptions)
            self.set_needs(&self.needs[<int>KIND_NAMES.index(kind)], required)
        self.add_elements(fields, elements)
        for (kind, field), allowed in values.items():
            self.add_closed(&self.closed[<int>KIND_NAMES.index(kind)], field, allowed)
        for field, allowed in element_values.items():
            self.add_closed(&self.element_closed[<int>self.numbers[field]], field, allowed)

    cdef Bytes read_name(self, Reader* r, Bytes at, int first, int* number) noexcept nogil:
        """Any key of a record, and its colon: the field's number. Of an unknown field -1, and over its value, too."""
        cdef Key key
        cdef Value value
        at = read_key(r, at, &key)
        if at == NULL:
            return NULL
        number[0] = find(self.fields, &key)
        if key.length != key.resolved:
            r.odd = True
        if number[0] >= 0:
            return at
        if not push_key(r, &key, first):
            return NULL
        at = read_value(r, at, &value)
        if at != NULL and value.token >= T_NULL:
            r.odd = True
        return at

    cdef int add_name(self, Name* slots, str text, int number) except -1:
        cdef bytes raw = text.encode()
        cdef Key key
        cdef Reader r
        cdef uint64_t i
        r.end = <Bytes><const char*>raw + len(raw)
        self.alive.append(raw)
        key.at = raw
        key.length = key.resolved = <int32_t>len(raw)
        name_words(&r, &key)
        i = slot_of(&key)
        while slots[i].length != 0:
            i = (i + 1) & (NAME_SLOTS - 1)
        slots[i] = Name(head=key.head, tail=key.tail, at=key.at, length=key.length, number=number)
        return 0

    cdef void add_quoted(self, bytes name, int number) noexcept:
        cdef uint64_t words[2]
        cdef uint64_t masks[2]
        cdef bytes text = b'"%b":' % name
        cdef int32_t length = <int32_t>len(text)
        if length > <int>sizeof(words):
            self.quoted[number].head_mask = ~<uint64_t>0        # eight times NUL, with which no value can go on either
            return
        memset(words, 0, sizeof(words))
        memset(masks, 0, sizeof(masks))
        memcpy(words, <const char*>text, length)
        memset(masks, 0xFF, length)
        self.quoted[number] = Quoted(
            head=words[0], head_mask=masks[0], tail=words[1], tail_mask=masks[1], length=length)

    cdef int add_kind(self, int kind, str name, bint noise, dict fields, dict exceptions) except -1:
        self.add_name(self.kinds, name, kind)
        for field, type_name in fields.items():
            narrower = NARROWER.get(field, exceptions.get((name, field), type_name))
            free = noise and field not in ENVELOPE
            self.wants[kind].of[<int>self.numbers[field]] = W_FREE if free else WANTS[narrower]
        return 0

    cdef int set_needs(self, Needs* needs, alternatives) except -1:
        cdef int i, k
        if len(alternatives) > CHOICES_MAX or any(len(names) > NEEDS_MAX for names in alternatives):
            raise ValueError("too many required fields")
        needs.choices = len(alternatives)
        for i, names in enumerate(alternatives):
            needs.counts[i] = len(names)
            for k, name in enumerate(names):
                needs.fields[i][k] = self.numbers[name]
        return 0

    cdef int add_elements(self, dict fields, dict elements) except -1:
        cdef int shape
        if len(elements) >= SHAPES_MAX:
            raise ValueError("too many kinds of nested list")
        for field, type_name in fields.items():
            flat = field not in ENVELOPE and type_name in ("text", "int", "bool")
            self.element_wants[<int>self.numbers[field]] = WANTS[NARROWER.get(field, type_name)] if flat else W_FREE
        for shape, ((kind, field), alternatives) in enumerate(elements.items(), 1):
            self.shape_of[<int>KIND_NAMES.index(kind)][<int>self.numbers[field]] = shape
            self.set_needs(&self.shapes[shape], alternatives)
        return 0

    cdef int add_closed(self, ClosedList* closed, str field, allowed) except -1:
        """ValueError: there are too many, or two such fields of one kind."""
        if closed.count or len(allowed) > CLOSED_MAX:
            raise ValueError(f"{field}: one closed field a kind, and at most {CLOSED_MAX} values")
        closed.number = self.numbers[field]
        for text in allowed:
            raw = text.encode()
            self.alive.append(raw)
            closed.texts[closed.count], closed.lengths[closed.count] = raw, len(raw)
            closed.count += 1
        return 0

    cdef str needs_text(self, const Needs* needs):
        """`lu`; `track or lu`; `sku, qty and task, or alloc and sku`."""
        cdef int i, k
        cdef list choices = []
        for i in range(needs.choices):
            names = [self.names[needs.fields[i][k]] for k in range(needs.counts[i])]
            choices.append(" and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names))
        return (" or " if all([needs.counts[i] == 1 for i in range(needs.choices)]) else ", or ").join(choices)
