"""A JSON text as a flat list of nodes: each value with its key, and how far it reaches.

    {"a":[1,2],"b":"x"}   ->   0 object after=5 | 1 a: list after=4 | 2 1 | 3 2 | 4 b: "x"

What is read here is read strictly (json_reader.pxd) and within limits. What is not: a key with an escape, more than
NODES_MAX values, more than KEYS_MAX members of an object; then there is no tape, and whoever asked goes the slow way.
A key that comes twice stays twice: the last one counts, as everywhere in Python.
"""

from libc.stdint cimport int32_t, uint64_t
from libc.string cimport memcmp

from ext.json_bytes cimport Bytes, is_digit, word_at
from ext.json_reader cimport first_member, head_word, next_member
from ext.json_scalars cimport read_number, read_text
from ext.json_special cimport read_literal
from ext.json_types cimport (
    BROKEN, DEPTH_MAX, KEYS_MAX, T_LIST, T_OBJECT, T_TEXT, TOO_DEEP, TOO_MANY_KEYS, Reader, Value, failed, skip_space,
    stands,
)

cdef enum:
    NODES_MAX = 8192

cdef struct Node:
    Value value
    uint64_t key_head       # see head_word
    Bytes key
    int32_t key_length
    int32_t after           # the node that stands behind this one and everything inside it

cdef struct Tape:
    Node* nodes             # NODES_MAX, zeros at first
    int32_t count


cdef inline bint stands_there(const Reader* r, Bytes at, const Node* node) noexcept nogil:
    """Whether the key comes next that this node had in the text before: messages of one kind are alike."""
    cdef int32_t length = node.key_length
    return 0 < length <= 8 and r.end - at >= 11 and at[0] == c'"' and (
        word_at(at + 1) & (<uint64_t>0 - 1 >> (64 - 8 * length))) == node.key_head and (
        at[length + 1] == c'"' and at[length + 2] == c":")


cdef inline Bytes read_member_key(Reader* r, Bytes at, Node* node) noexcept nogil:
    """A key and its colon."""
    cdef int32_t resolved = 0
    at = skip_space(r, at)
    if stands_there(r, at, node):
        node.key = at + 1
        return at + node.key_length + 3
    if not stands(at, r.end, c'"'):
        return failed(r, BROKEN, at)
    at = read_text(r, at, &node.key, &node.key_length, &resolved)
    if at == NULL or resolved != node.key_length:
        node.key_length = 0
        return failed(r, BROKEN, node.key)
    node.key_head = head_word(node.key, node.key_length, r.end)
    at = skip_space(r, at)
    return at + 1 if stands(at, r.end, c":") else failed(r, BROKEN, at)


cdef inline Bytes read_members(Reader* r, Bytes at, Tape* tape, bint named) noexcept nogil:
    """What stands in an object or a list, from its bracket on."""
    cdef unsigned char closing = c"}" if named else c"]"
    cdef bint more
    cdef int members = 0
    if r.depth == DEPTH_MAX:
        return failed(r, TOO_DEEP, at)
    r.depth += 1
    at = first_member(r, at, closing, &more)
    while more:
        if tape.count == NODES_MAX or (named and members == KEYS_MAX):
            return failed(r, TOO_MANY_KEYS, at)
        members += 1
        if named:
            at = read_member_key(r, at, &tape.nodes[tape.count])
        if at != NULL:
            at = read_node(r, at, tape)
        if at != NULL:
            at = next_member(r, at, closing, &more)
        if at == NULL:
            return NULL
    r.depth -= 1
    return at


cdef inline Bytes read_node(Reader* r, Bytes at, Tape* tape) noexcept nogil:
    """Any value into the next node, perhaps after white space; its key has been set."""
    cdef Node* node = &tape.nodes[tape.count]
    cdef unsigned char c
    tape.count += 1
    node.after = tape.count
    at = skip_space(r, at)
    if at == r.end:
        return failed(r, BROKEN, at)
    c = at[0]
    if c == c'"':
        node.value.token = T_TEXT
        return read_text(r, at, &node.value.at, &node.value.length, &node.value.resolved)
    node.value.at = at
    if is_digit(c) or c == c"-":
        at = read_number(r, at, &node.value)
    elif c == c"{" or c == c"[":
        node.value.token = T_OBJECT if c == c"{" else T_LIST
        at = read_members(r, at, tape, c == c"{")
        node.after = tape.count
    else:
        at = read_literal(r, at, &node.value)
    node.value.length = <int32_t>(at - node.value.at)
    return at


cdef inline bint read_tape(Reader* r, Tape* tape) noexcept nogil:
    """The one value of a text, and nothing behind it. `depth` of the reader begins at 0."""
    cdef Bytes at
    tape.count = 0
    at = read_node(r, r.start, tape)
    return at != NULL and skip_space(r, at) == r.end


cdef inline int32_t member(const Tape* tape, int32_t of, uint64_t head, Bytes key, int32_t length) noexcept nogil:
    """The node of an object's member by its key, the last of several; -1: it has none, or is no object."""
    cdef const Node* nodes = tape.nodes
    cdef int32_t i = of + 1
    cdef int32_t found = -1
    if nodes[of].value.token != T_OBJECT:
        return -1
    while i < nodes[of].after:
        if nodes[i].key_head == head and nodes[i].key_length == length and (
                length <= 8 or memcmp(nodes[i].key, key, length) == 0):
            found = i
        i = nodes[i].after
    return found


cdef inline int32_t element(const Tape* tape, int32_t of, int32_t index) noexcept nogil:
    """The node of a list's element; -1: it has none, or is no list."""
    cdef const Node* nodes = tape.nodes
    cdef int32_t i = of + 1
    if nodes[of].value.token != T_LIST:
        return -1
    while i < nodes[of].after:
        if index == 0:
            return i
        index -= 1
        i = nodes[i].after
    return -1
