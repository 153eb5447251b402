"""Golden cases of numbers that begin anew, and of telegrams with several facts (R5, R6). Read off the rules' text."""

from __future__ import annotations

from tests.cases.told_gaps import OTHER, short
from tests.cases.writing import STATION, Case, at

HOUR = 3600.0
SCANNER = "dc1/gate/SCN-01"


def press(case: Case, t: float, seq: int, **fields: int) -> Case:
    return case.tell(STATION, "pick.confirm", t, task="T-1", sku="A", qty=1, seq=seq, **fields)


# ------------------------------------------------------------------------------------------------ R5


def R05_a_counter_that_begins_anew_after_days() -> Case:
    """R5: 0 to 6 in three days, then from 0 on again: 0 to 4 were here more than lateness_ms ago. 5 was not, and is a
    duplicate."""
    case = Case().order(12).task(12)
    for seq in range(7):
        press(case, 10 + seq * 12 * HOUR, seq)
    for seq in range(6):
        press(case, 10 + (73 + seq) * HOUR, seq)
    return case.confirmed(12, 10 + 77 * HOUR).counted(duplicate=1).never_raised("SEQ_GAP")


def R05_a_counter_that_begins_anew_in_a_telegram() -> Case:
    """R5: a number with a `sub` that comes again after lateness_ms counts, and from then on it was here."""
    case = Case().order(2).task(2)
    case.rules = {"lateness_ms": 10_000, "retention_ms": 20_000}
    for t in (0, 20, 21, 22):
        press(case, t, 1, sub=1)
    return case.confirmed(2, 20).counted(duplicate=2)


def R05_the_facts_of_a_long_telegram() -> Case:
    """R5: `sub` is a number like another: 1 and 65 537 are two facts."""
    case = Case().order(2).task(2)
    return press(press(case, 10, 1, sub=1), 11, 1, sub=65_537).confirmed(2, 11).counted(duplicate=0)


def R05_the_first_fact_of_a_telegram_comes_last() -> Case:
    """R5: that its number was heard with `sub` 1 makes no duplicate of `sub` 0; that it was heard itself does."""
    case = Case().order(2).task(2)
    press(press(press(case, 10, 1, sub=1), 11, 1), 11, 1)
    return case.confirmed(2, 11).counted(duplicate=1)


# ------------------------------------------------------------------------------------------------ R6


def R06_a_telegram_whose_first_fact_is_not_meant() -> Case:
    """R6: of number 2 only the fact with `sub` 1 is passed on: the number is there, and nothing is missing."""
    case = Case().order(3).task(3, deadline=at(30))
    press(press(case, 10, 1), 20, 2, sub=1).tell(STATION, "telemetry", 21, seq=3)
    return short(case, 2, "exact").never_raised("SEQ_GAP")


def R06_a_telegram_fills_its_place_once() -> Case:
    """R6: of 2 and 3, which are missing, 2 comes late with two facts: 3 is still missing."""
    case = Case().order(4).task(4, deadline=at(30))
    press(case, 10, 1).tell(STATION, "telemetry", 20, seq=4).tell(STATION, "telemetry", 33, seq=5)
    for sub in (0, 1):
        fields = {"task": "T-1", "sku": "A", "qty": 1, "sub": sub}
        case.tell(STATION, "pick.confirm", 15 + sub, 40 + sub, seq=2, hist=True, **fields)
    case.until(330).confirmed(3, 30, evidence="incomplete").shorted(1, 30, evidence="incomplete")
    return case.raised("SEQ_GAP", STATION)


# ------------------------------------------------------------------------------------------------ links


def one_picked(t: float = 10) -> Case:
    return press(Case().order(3).task(3, deadline=at(30)), t, 1)


def R29_a_link_down_of_days_ago() -> Case:
    """R29, R6: a backlog tells that the link was down two days ago: dead like any record. Its number counts."""
    case = one_picked().tell(STATION, "link.down", -48 * HOUR, 12, seq=2, hist=True)
    press(case, 20, 3)
    case.counted(late=1).never_raised("SRC_DOWN").never_raised("SEQ_GAP").raised("TIME_TOO_LATE", STATION)
    return short(case, 2, "exact")


def R29_a_source_gap_of_days_ago() -> Case:
    """R29, R7: likewise what a source did not tell: it holds nothing."""
    case = one_picked().tell(STATION, "source.gap", -48 * HOUR, 12, hist=True, t_from=at(-48 * HOUR), t_to=at(25))
    return short(case.counted(late=1).raised("TIME_TOO_LATE", STATION), 1, "exact")


def R02_a_link_down_of_a_backlog() -> Case:
    """R2, R6: that the link was down at 5 is told with a backlog, and the station has spoken since: it is not down."""
    case = one_picked().tell(STATION, "link.down", 5, 12, hist=True)
    return short(case.never_raised("SRC_DOWN").counted(late=0), 1, "exact")


def R06_a_repeat_without_a_number_ends_no_link_down() -> Case:
    """R5, R6: the broker repeats the pick of 10, which has no number: only what is new ends the link.down."""
    case = Case().order(3).task(3, deadline=at(30)).tell(STATION, "pick.confirm", 10, task="T-1", sku="A", qty=1)
    case.tell(STATION, "link.down", 12).records.append(case.records[-2] | {"t_rx": at(14)})
    return case.never_raised("SEQ_GAP").raised("SRC_DOWN", STATION).counted(duplicate=1)


def heard_out_of_order(*numbers: int) -> Case:
    """A scanner's records of 1, 2, 3 ..., each under the number of its second, in this order between 10 and 11."""
    case = Case()
    case.rules = {"disorder_ms": 12_000, "skew_max_ms": 30_000}
    for place, seq in enumerate(numbers):
        case.tell(SCANNER, "scan.read", seq, 10 + place / 10, lu="L-1", seq=seq)
    return case.tell(SCANNER, "scan.read", 20, lu="L-1", seq=max(numbers) + 1)


def R06_a_number_in_the_middle_of_a_hole() -> Case:
    """R3, R6: 3 comes after 5, and 2 and 4 never: the first gap is the one before 3, as if it had come in order."""
    case = heard_out_of_order(1, 5, 3)
    return case.expect("exception.raised", f"SEQ_GAP/{SCANNER}/1", t=3, detail="1 missing").times("SEQ_GAP", 1)


def R06_the_first_number_comes_late() -> Case:
    """R3, R6: 5 is heard before 3, which was the first: 4 is missing all the same."""
    case = heard_out_of_order(5, 3)
    return case.expect("exception.raised", f"SEQ_GAP/{SCANNER}/1", t=5, detail="1 missing").times("SEQ_GAP", 1)


def R06_numbers_from_before_the_first() -> Case:
    """R6: a source's first number is no gap: what its backlog tells of before, and not of all, is none either."""
    case = Case().tell(SCANNER, "scan.read", 10, lu="L-1", seq=9)
    case.tell(SCANNER, "scan.read", 2, 11, lu="L-1", seq=5, hist=True)
    return case.tell(SCANNER, "scan.read", 20, lu="L-1", seq=10).never_raised("SEQ_GAP")


def R06_one_gap_is_filled_and_another_is_open() -> Case:
    """R6, section 11: 2 comes as backlog, 5 does not: what was missing is not all here, and the episode goes on."""
    case = Case()
    for seq in (1, 3, 4, 6, 7):
        case.tell(SCANNER, "scan.read", seq * 5, lu="L-1", seq=seq)
    case.tell(SCANNER, "scan.read", 10, 40, lu="L-1", seq=2, hist=True)
    return case.raised("SEQ_GAP", SCANNER).times("SEQ_GAP", 1)


def R06_all_gaps_are_filled() -> Case:
    """R6, section 11: with 5 as well it ends once, not before it began."""
    case = R06_one_gap_is_filled_and_another_is_open()
    case.expected.clear()
    case.tell(SCANNER, "scan.read", 25, 50, lu="L-1", seq=5, hist=True)
    return case.cleared("SEQ_GAP", SCANNER, t=30).times("SEQ_GAP", 1)


def R06_two_numbers_of_one_moment() -> Case:
    """R6, R3: 1 and 3 are of one moment, and 3 is heard first; 2 never comes."""
    case = Case().order(2).task(2)
    press(case, 10, 3)
    press(case, 10, 1)
    return case.device("telemetry", 60).confirmed(2, 10).raised("SEQ_GAP", STATION)


# ------------------------------------------------------------------------------------------------ R7


def missed_by_the_deadline(qty: int = 3) -> Case:
    """Nothing of T-1 was heard by its deadline of 30. STATION, which has told a pick of another line, misses number 2
    between 10 and 20."""
    case = Case().order(qty, 1).task(qty, deadline=at(30)).task(1, "T-2", line=2)
    case.pick(10, task="T-2").lose().device("telemetry", 20, src=STATION).device("telemetry", 33)
    return case.confirmed(1, 10, task="T-2").raised("SEQ_GAP", STATION)


def R07_a_piece_that_followed_says_nothing_of_the_silence_before() -> Case:
    """R7: nothing was heard by the deadline, and all stations may have told what is missing; that another one tells a
    piece at 40 does not change that. The task is told anew at 50 without a deadline, while it waits: it is open."""
    case = missed_by_the_deadline().pick(40, src=OTHER).device("telemetry", 45)
    return case.task(4, t=50, rev=2).device("telemetry", 2000)


def R07_what_the_deadline_left_was_picked_afterwards() -> Case:
    """R7, R21 d: the piece of 40 is the only one, so the window is told with it; the deadline is not decided yet. More
    is asked for at 50, without a deadline: it is open again."""
    case = missed_by_the_deadline(1).pick(40, src=OTHER).device("telemetry", 45)
    return case.task(3, t=50, rev=2).device("telemetry", 2000).confirmed(1, 40, revision=0)


# ------------------------------------------------------------------------------------------------ R21


def R21_a_deadline_that_had_been_moved_by_a_revision_that_asks_for_more() -> Case:
    """R21 d, R27a: the short of 30 was told when a revision of 25 is heard, which asks for one more by 90. So nothing
    had closed the window; it is short by 90."""
    case = Case().order(4).task(3, deadline=at(30)).pick(10).device("telemetry", 40)
    case.task(4, t=25, rx=45, rev=2, deadline=at(90)).device("telemetry", 120)
    return case.confirmed(1, 90, revision=2).shorted(3, 90, revision=2, decided_by="DEADLINE")
