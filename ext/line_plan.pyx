# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""See line_plan.pxd. Hot: `write`, `read_payload`, `follow`."""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc

from ext.json_reader cimport head_word
from ext.json_bytes cimport plain_end
from ext.json_special cimport utf8_length
from ext.json_types cimport SOUND, T_FALSE, T_INT, T_LIST, T_NULL, T_NUMBER, T_TEXT, T_TRUE, TEXT_MAX, Reader
from ext.json_tape cimport NODES_MAX, Node, element, member, read_tape


cdef class JsonPath:
    def __cinit__(self, bint from_root, str whole not None, tuple steps not None):
        cdef int i
        self.alive = []
        self.from_root = from_root
        self.count = len(steps)
        self.steps = <Step*>malloc((self.count + 1) * sizeof(Step))
        if self.steps == NULL:
            raise MemoryError
        for i in range(self.count):
            if isinstance(steps[i], str):
                self.set_name(&self.steps[i], steps[i])
            else:
                self.steps[i] = Step(name=NULL, head=0, length=0, index=steps[i])
        self.whole = Step(name=NULL, head=0, length=0, index=0)
        if whole and steps != (whole,):
            self.set_name(&self.whole, whole)

    def __dealloc__(self):
        free(self.steps)

    cdef int set_name(self, Step* step, str name) except -1:
        cdef bytes raw = name.encode()
        cdef Bytes at = raw
        self.alive.append(raw)
        step[0] = Step(name=at, head=head_word(at, len(raw), at + len(raw)), length=<int32_t>len(raw), index=0)
        return 0

    cdef int32_t follow(self, const Tape* tape, int32_t item) noexcept nogil:
        """The node there; -1: none, or null."""
        cdef int32_t node = 0 if self.from_root else item
        cdef int32_t found
        cdef int i
        if self.whole.name != NULL:
            found = member(tape, node, self.whole.head, self.whole.name, self.whole.length)
            if found >= 0:
                return -1 if tape.nodes[found].value.token == T_NULL else found
        for i in range(self.count):
            if self.steps[i].name != NULL:
                node = member(tape, node, self.steps[i].head, self.steps[i].name, self.steps[i].length)
            else:
                node = element(tape, node, self.steps[i].index)
            if node < 0:
                return -1
        return -1 if tape.nodes[node].value.token == T_NULL else node


cdef class LinePlan:
    def __cinit__(self, *arguments, **named):
        self.tape.nodes = <Node*>calloc(NODES_MAX, sizeof(Node))
        if self.tape.nodes == NULL:
            raise MemoryError

    def __init__(self, *, JsonPath each, when, bint of_text, Py_ssize_t payload_bytes_max):
        self.each = each
        self.when = [path for path, _ in when]
        self.wanted = [TextMap(texts) for _, texts in when]
        self.of_text = of_text
        self.payload_max = min(payload_bytes_max, <Py_ssize_t>TEXT_MAX) if of_text else payload_bytes_max

    def __dealloc__(self):
        free(self.tape.nodes)

    cdef int write(
        self, Bytes payload, Py_ssize_t length, const Slice* captures, int64_t t_rx, LineBlock out
    ) except -1:
        """1: the lines of a payload are in `out`, perhaps none. 0: not for this plan, and nothing is."""
        cdef Py_ssize_t size = out.size
        cdef Py_ssize_t count = out.count
        if length > self.payload_max or not self.read_payload(payload, length):
            return 0
        if self.select(captures, t_rx, out):
            return 1
        out.size = size
        out.count = count
        return 0

    cdef int select(self, const Slice* captures, int64_t t_rx, LineBlock out) except -1:
        cdef Scope scope = Scope(item=0, sub=0, t_rx=t_rx, captures=captures)
        cdef const Node* nodes = self.tape.nodes
        cdef int32_t list_node
        cdef int meant
        if self.each is None:
            meant = self.meant(0)
            return self.record(&scope, out) if meant == 1 else meant == 0
        list_node = self.each.follow(&self.tape, 0)
        if list_node < 0:
            return 1
        if nodes[list_node].value.token != T_LIST:
            return 0
        scope.item = list_node + 1
        while scope.item < nodes[list_node].after:
            meant = self.meant(scope.item)
            if meant == 2 or (meant == 1 and not self.record(&scope, out)):
                return 0
            scope.item = nodes[scope.item].after
            scope.sub += 1
        return 1

    cdef bint read_payload(self, Bytes payload, Py_ssize_t length) noexcept:
        cdef Reader r
        cdef Node* node = self.tape.nodes
        cdef Bytes end = payload + length
        cdef Bytes at
        cdef int size
        if not self.of_text:
            r.start = payload
            r.end = end
            r.fault = SOUND
            r.depth = 0
            return read_tape(&r, &self.tape)
        while payload < end and (payload[0] <= 32 or payload[0] == 0x7F):
            payload += 1
        while payload < end and ((end - 1)[0] <= 32 or (end - 1)[0] == 0x7F):
            end -= 1
        at = plain_end(payload, end)
        while at < end and at[0] >= 0x80:
            size = utf8_length(at, end)
            if size == 0:
                return False
            at = plain_end(at + size, end)
        self.tape.count = 1
        node.value.token = T_TEXT
        node.value.at = payload
        node.value.length = node.value.resolved = <int32_t>(end - payload)
        node.after = 1
        return at == end

    cdef int meant(self, int32_t item) except -1:
        """Whether `when` takes the item: 1, 0; 2: that is not for this plan to say."""
        cdef Py_ssize_t i
        cdef int32_t node
        cdef const Node* nodes = self.tape.nodes
        cdef int token
        for i in range(len(self.when)):
            node = (<JsonPath>self.when[i]).follow(&self.tape, item)
            if node < 0:
                return 0
            token = nodes[node].value.token
            if token == T_NUMBER or (token == T_TEXT and nodes[node].value.length != nodes[node].value.resolved):
                return 2
            if token not in (T_TEXT, T_INT, T_TRUE, T_FALSE):
                return 0
            if (<TextMap>self.wanted[i]).find(nodes[node].value.at, nodes[node].value.length) < 0:
                return 0
        return 1

    cdef int record(self, const Scope* scope, LineBlock out) except -1:
        """One record as a line: 1; 0: it is not for this plan."""
        raise NotImplementedError

    def lines(self, bytes payload not None, captures, int64_t t_rx, LineBlock out not None):
        cdef Slice slices[CAPTURES_MAX]
        cdef int i
        cdef list kept = list(captures)
        cdef bytes text
        if len(kept) > CAPTURES_MAX:
            raise ValueError("too many captures")
        for i in range(len(kept)):
            text = kept[i]
            slices[i] = Slice(at=<Bytes><const char*>text, length=len(text))
        return bool(self.write(<Bytes><const char*>payload, len(payload), slices, t_rx, out))
