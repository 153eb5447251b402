"""What is known of sources and of the items on their machines: numbers seen, gaps, tracks, sights.

As in state.pxd: pointers first, then text numbers, then plain values.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from ext.state cimport Fact, Name, Strangers
from ext.store cimport List, Numbers, Table


cdef struct Gap:
    # A stretch that a source did not tell of (R6).
    Source* source
    int64_t t_from
    int64_t t_to                # NEVER: the link is still down
    int64_t low                 # none of low..high has come; -1: it is a stretch of time only
    int64_t high
    int64_t epoch               # of its numbers
    uint8_t sure                # R6: the watermark has passed the record that jumped
    uint8_t awaits              # a time of `link.down`, which is none if low..high come before it is sure


cdef struct Interval:
    int64_t low
    int64_t high
    int64_t first               # event time of `low`
    int64_t last                # and of `high`
    int64_t t                   # the greatest of a number in it
    int64_t until               # event time after which it takes in no more


cdef struct Seen:
    # Which sequence numbers of one (src, epoch) were seen: sorted intervals, not a set (R5).
    Interval* intervals         # a block of plain bytes
    Table* subs                 # younger and older half: seq and sub of telegrams with several facts -> event time
    Table* older_subs
    int64_t epoch
    int32_t count
    int32_t capacity


cdef struct Source:
    List* epochs                # Seen, the last few
    Seen* seen                  # the last one asked for
    Table* contents             # younger and older half: digest of an unnumbered record -> its t_rx
    Table* older_contents
    List* gaps                  # open ones
    List* tracked               # R60, R63: Fact and Multiread that the watermark has not passed, by t_rx
    Gap* down                   # R6: the link is down; NULL: it is not
    Fact* read                  # its last scan.read (R63)
    int32_t src
    int32_t area                # the text site/area; 0: not asked for yet
    int32_t down_by             # R2: who told that its link is down: the source itself, or a gateway for its scope
    int32_t spare
    int64_t skew_max
    int64_t disorder
    int64_t idle
    int64_t dedupe_noseq
    int64_t gap_hold
    int64_t gaps_due            # the next jump that may be one for sure; NEVER: none
    int64_t greatest            # event time
    int64_t watermark
    int64_t placed[2]           # among the sources that are in: by what it stands where it stands, see presence.pxd
    int64_t last_rx
    int64_t records
    int64_t gap_count
    int64_t epoch               # of the last record, with its number
    int64_t seq
    int64_t good_run
    int64_t contents_since      # t_rx from which the younger half is filled
    int64_t rate_band           # 0: how often it speaks is not watched
    int64_t minute              # t_rx at which the minute of its last record began; 0: it has told nothing yet
    int64_t heard               # records of a watched source in this minute; -1: they do not count
    int64_t usual               # records a minute, times 1 024
    int64_t minutes             # that this was learned from
    Strangers strangers         # what only it has named
    int64_t multi_t             # event time of its last scan of several codes without a track (R63)
    int64_t ahead               # greatest t - t_rx in the minute of the last record, ABSENT: no record had a t
    int64_t ahead_before        # in the minute before
    int32_t at[2]               # and where it stands there: the place in each of presence's two orders
    uint8_t live                # it is in: it holds the partition's watermark
    uint8_t syncing             # section 10: its last record was `hist`, or its link is up again and it has told nothing
    uint8_t skewed
    uint8_t watched             # the clock ends its minutes: how often it speaks is learned
    uint8_t picks               # it ever sent a pick kind
    uint8_t unread              # no read after that has been passed yet
    uint8_t bounded             # a timer bounds how long `tracked` waits


cdef struct TrackLife:
    # One item's time on a machine (R60).
    List* waiting               # facts that wait for the lu
    List* given_up              # those that waited in vain: a backlog may still tell whose they are
    int32_t lu                  # 0: not identified
    int32_t track
    int64_t begin
    int64_t known_t             # event time of its last identification
    int64_t loops
    int64_t begin_seq           # of its induction
    int32_t begin_sub
    uint8_t inducted


cdef struct Track:
    # A machine's number of items, in one epoch of the machine.
    List* lives                 # TrackLife, sorted by begin
    Track* before               # the same number in another epoch
    int64_t epoch


cdef struct Multiread:
    # A scan of several codes at once, until the watermark passes it (R63).
    Fact* fact
    Numbers* codes
    uint8_t closes              # R42: its read point stands for a close
    uint8_t forced              # it did not wait for the watermark to pass it


cdef struct Glimpse:
    # A mere sight: what names a load unit and does not join its facts. A copy, for the record itself is forgotten.
    Name* name
    int32_t src
    int32_t sub
    int64_t t
    int64_t t_rx
    int64_t epoch
    int64_t seq
    int64_t arrival


cdef struct GlimpseList:
    int32_t count, capacity
    Glimpse items[1]


cdef struct Sighting:
    # What was seen of a load unit in one area.
    GlimpseList* glimpses       # its last ones, sorted: what a loss that comes late was followed by
    Sighting* elsewhere         # in another area
    int32_t area                # the text site/area
    int32_t ever_lost           # R64: the unit was; then its sights matter
    int64_t first               # of the run of sights
    int64_t last
    int64_t before              # the last one before the run, ABSENT: none
