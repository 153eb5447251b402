"""A JSON text as a flat list of nodes: each value with its key, and how far it reaches.

    {"a":[1,2],"b":"x"}   ->   0 object after=5 | 1 a: list after=4 | 2 1 | 3 2 | 4 b: "x"

What is read here is read strictly (json_scalars.pxd) and within limits. What is not: a key with an escape, more than
NODES_MAX values, more than KEYS_MAX members of an object; then there is no tape, and whoever asked goes the slow way.
A key that comes twice stays twice: the last one counts, as everywhere in Python.
"""

from libc.stdint cimport int32_t, uint64_t
from libc.string cimport memcmp

from ext.json_reader cimport head_word, next_member
from ext.json_scalars cimport (
    BROKEN, DEPTH_MAX, KEYS_MAX, T_LIST, T_OBJECT, T_TEXT, TOO_DEEP, TOO_MANY_KEYS,
    Bytes, Reader, Value,
    failed, is_digit, read_literal, read_number, read_text, skip_space, take, word_at,
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


cdef inline bint stands_there(const Reader* r, const Node* node) noexcept nogil:
    """Whether the key comes next that this node had in the text before: messages of one kind are alike."""
    cdef int32_t length = node.key_length
    return 0 < length <= 8 and r.end - r.at >= 11 and r.at[0] == c'"' and (
        word_at(r.at + 1) & (<uint64_t>0 - 1 >> (64 - 8 * length))) == node.key_head and (
        r.at[length + 1] == c'"' and r.at[length + 2] == c":")


cdef inline bint read_member_key(Reader* r, Node* node) noexcept nogil:
    """A key and its colon; leaves the reader at the value."""
    cdef int32_t resolved = 0
    if stands_there(r, node):
        node.key = r.at + 1
        r.at += node.key_length + 3
        skip_space(r)
        return True
    skip_space(r)
    if r.at == r.end or r.at[0] != c'"':
        return failed(r, BROKEN, r.at)
    if not read_text(r, &node.key, &node.key_length, &resolved):
        return False
    if resolved != node.key_length:
        node.key_length = 0
        return failed(r, BROKEN, node.key)
    node.key_head = head_word(node.key, node.key_length, r.end)
    skip_space(r)
    if not take(r, c":"):
        return failed(r, BROKEN, r.at)
    skip_space(r)
    return True


cdef inline bint read_members(Reader* r, Tape* tape, bint named) noexcept nogil:
    """What stands in an object or a list, from its bracket on."""
    cdef unsigned char closing = c"}" if named else c"]"
    cdef bint more = True
    cdef int members = 0
    if r.depth == DEPTH_MAX:
        return failed(r, TOO_DEEP, r.at)
    r.depth += 1
    r.at += 1
    skip_space(r)
    if take(r, closing):
        more = False
    while more:
        if tape.count == NODES_MAX or (named and members == KEYS_MAX):
            return failed(r, TOO_MANY_KEYS, r.at)
        members += 1
        skip_space(r)
        if named and not read_member_key(r, &tape.nodes[tape.count]):
            return False
        if not read_node(r, tape) or not next_member(r, closing, &more):
            return False
    r.depth -= 1
    return True


cdef inline bint read_node(Reader* r, Tape* tape) noexcept nogil:
    """Any value into the next node, the reader standing on it; its key has been set."""
    cdef Node* node = &tape.nodes[tape.count]
    cdef unsigned char c
    tape.count += 1
    node.after = tape.count
    if r.at == r.end:
        return failed(r, BROKEN, r.at)
    c = r.at[0]
    if c == c'"':
        node.value.token = T_TEXT
        return read_text(r, &node.value.at, &node.value.length, &node.value.resolved)
    node.value.at = r.at
    if is_digit(c) or c == c"-":
        if not read_number(r, &node.value):
            return False
    elif c == c"{" or c == c"[":
        node.value.token = T_OBJECT if c == c"{" else T_LIST
        if not read_members(r, tape, c == c"{"):
            return False
        node.after = tape.count
    elif not read_literal(r, &node.value):
        return False
    node.value.length = <int32_t>(r.at - node.value.at)
    return True


cdef inline bint read_tape(Reader* r, Tape* tape) noexcept nogil:
    """The one value of a text, and nothing behind it. `depth` of the reader begins at 0."""
    tape.count = 0
    skip_space(r)
    if not read_node(r, tape):
        return False
    skip_space(r)
    return r.at == r.end or failed(r, BROKEN, r.at)


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
