# cython: boundscheck=False, wraparound=False
"""See modbus_exchange.pyi."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.math cimport INFINITY
from libc.stdint cimport uint8_t
from posix.unistd cimport read, write

from ext.modbus_frames cimport ADU_BYTES_MAX, SLOTS, Frames

from collections import deque

cdef extern from *:
    """
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <sys/socket.h>

    /* Of Linux; elsewhere it stays as it is. A descriptor that is no socket refuses it, and that is all. */
    static void acknowledge_now(int fd) {
    #ifdef TCP_QUICKACK
        int yes = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof yes);
    #endif
    }
    """
    void acknowledge_now(int fd)

cdef enum:
    SAMPLE_BYTES_MAX = 4096
    READ_BYTES = SLOTS * ADU_BYTES_MAX


cdef class Exchange:
    cdef readonly Frames frames
    cdef public bint is_held
    cdef public double timer_at
    cdef readonly object queue
    cdef int in_flight_max
    cdef int fd
    cdef bint falls_silent
    cdef object transport
    cdef list unsent  # frames of this turn of the loop
    cdef object create_future, time, call_soon  # the loop's

    def __init__(self, loop, bint is_rtu, int in_flight_max, bint falls_silent=False):
        self.frames = Frames(is_rtu)
        self.in_flight_max = in_flight_max
        self.falls_silent = falls_silent
        self.queue = deque()
        self.unsent = []
        self.timer_at = INFINITY
        self.fd = -1
        self.create_future = loop.create_future
        self.time = loop.time
        self.call_soon = loop.call_soon

    def goes_over(self, int fd, transport=None):
        self.fd = fd
        self.transport = transport

    def request(self, int unit, int function, int address, int last, double timeout_s):
        answer = self.create_future()
        if self.is_held or self.queue or self.frames.waiting >= self.in_flight_max:
            self.queue.append((answer, unit, function, address, last, timeout_s))
        else:
            self.send(answer, unit, function, address, last, timeout_s)
        return answer

    def send_queued(self):
        while self.queue and self.fd >= 0 and self.frames.waiting < self.in_flight_max:
            answer, unit, function, address, last, timeout_s = self.queue.popleft()
            if not answer.done():
                self.send(answer, unit, function, address, last, timeout_s)

    cdef int send(self, answer, int unit, int function, int address, int last, double timeout_s) except -1:
        cdef double deadline = <double>self.time() + timeout_s
        cdef bytes frame = self.frames.ask(answer, unit, function, address, last, deadline)
        if self.in_flight_max == 1:
            self.put(frame)
        else:
            # one system call for all that are sent together
            if not self.unsent:
                self.call_soon(self.flush)
            self.unsent.append(frame)
        if deadline < self.timer_at:
            self.arm(deadline)
        return 0

    def flush(self):
        frames, self.unsent = self.unsent, []
        self.put(b"".join(frames))

    cdef int put(self, bytes frames) except -1:
        cdef Py_ssize_t size = PyBytes_GET_SIZE(frames)
        if self.transport is not None:
            self.transport.write(frames)
        elif self.fd >= 0 and write(self.fd, PyBytes_AS_STRING(frames), size) != size:
            # what does not take a few frames whole is as good as broken: they would arrive torn
            self.call_soon(self.connection_lost, None)
        return 0

    def readable(self):
        cdef uint8_t buffer[READ_BYTES]
        cdef Py_ssize_t size
        if self.fd < 0 or self.transport is not None:
            return
        size = read(self.fd, buffer, sizeof(buffer))
        if size > 0:
            self.take(buffer, size)
        elif size == 0 or (errno != EAGAIN and errno != EINTR):
            self.connection_lost(None)

    def data_received(self, bytes data not None):
        self.take(<const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef int take(self, const uint8_t* came, Py_ssize_t size) except -1:
        cdef Frames frames = self.frames
        cdef const uint8_t* at = came
        cdef const uint8_t* end = came + size
        cdef bytes whole
        if PyBytes_GET_SIZE(frames.rest):
            whole = frames.rest + PyBytes_FromStringAndSize(<const char*>came, size)
            at = <const uint8_t*>PyBytes_AS_STRING(whole)
            end = at + PyBytes_GET_SIZE(whole)
        while frames.next(&at, end):
            if frames.token.done():
                continue  # whoever asked has gone
            if type(frames.content) is bytes:
                frames.token.set_result(frames.content)
            else:
                self.refused(frames.token, frames.content)
        if frames.fault is not None:
            self.in_doubt(frames.fault, PyBytes_FromStringAndSize(<const char*>came, min(size, SAMPLE_BYTES_MAX)))
            return 0
        if self.falls_silent and not frames.waiting:
            self.fall_silent()
        if self.queue and not self.is_held:
            self.send_queued()
        if self.in_flight_max > 1 and frames.waiting and self.fd >= 0:
            # many servers hold the next answer back until the last one is acknowledged, and the kernel takes 40 ms
            acknowledge_now(self.fd)
        return 0
