"""One task at its station, press by press, and what can go wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from simulators import floor as f
from simulators.diary import Diary
from simulators.floor import Task
from simulators.ledger import Ledger
from simulators.paperwork import Paperwork

_SHORT_CODES = ("EMPTY", "INSUFFICIENT", "NOT_FOUND", "OPERATOR", "DAMAGED")

Done = tuple[int, int]
"""When the work was done, and how many pieces lie in the carton for it."""


class Picker:
    """Works the tasks of one shipment. `paper`: what the order system thinks of it meanwhile."""

    def __init__(self, diary: Diary, paper: Paperwork) -> None:
        self._diary = diary
        self._paper = paper
        self._changed = False
        self._presses = 0
        self.abandoned: list[Task] = []
        self.touchy: set[Task] = set()
        """Tasks of which nothing may be put back later, or nobody could say what is right."""

    def work(self, task: Task, t: int) -> Done:
        diary, habits = self._diary, self._diary.habits
        if task.line in self._paper.cancels:
            return self._work_in_vain(task, t)
        if diary.chance(habits.shorts) and task.qty > self._found_min(task):
            return self._run_short(task, t)
        mishap = self._mishap(task)
        if mishap is not None:
            self.touchy.add(task)
            return mishap(task, t)
        t = self._press(task, task.qty, t)
        if diary.chance(habits.reversals):
            return self._think_again(task, t)
        if len(task.line.tasks) == 1 and diary.chance(habits.over_picks):
            return self._pick_too_many(task, t)
        return t, task.qty

    def batch(self, tasks: list[Task], t: int) -> int:
        """All tasks of one SKU by common presses; returns when it was done."""
        left = {task: task.qty for task in tasks}
        while left:
            t = self._diary.after(t, self._diary.pace.press_s)
            lot = self.lot(tasks[0])
            picks = []
            for task in list(left):
                qty = self._diary.rng.randrange(1, left[task] + 1)
                picks.append(f.Picked(t, task, qty, lot, True))
                left[task] -= qty
                if not left[task]:
                    del left[task]
            self._diary.add(f.Batched(t, tuple(picks)))
        return t

    def _mishap(self, task: Task) -> Callable[[Task, int], Done] | None:
        diary, habits = self._diary, self._diary.habits
        if task.id is None:
            return None
        if not task.line_only:
            if diary.chance(habits.tasks_replaced):
                return self._take_back
            if not self._changed and not self._paper.cancels and diary.chance(habits.quantities_changed):
                return self._change_quantity
        if diary.chance(habits.deadlines):
            return self._keep_deadline if diary.chance(0.4) else self._miss_deadline
        if diary.chance(habits.abandoned):
            return self._abandon
        if not task.line.sku.lot_tracked and not task.line_only:
            if diary.chance(habits.expected_shorts):
                return self._find_too_little
            if diary.chance(habits.counted):
                return self._count_meanwhile
        if task.qty > 1 and diary.chance(habits.wrong_sku):
            return self._take_wrong_sku
        return None

    # ---- presses

    def _press(self, task: Task, qty: int, t: int, until: int | None = None) -> int:
        diary = self._diary
        says_lu = not task.names_lu or not diary.chance(diary.habits.unsaid_lu)
        named = diary.chance(diary.habits.presses_named)
        while qty > 0:
            pieces = diary.rng.randrange(1, min(qty, 3) + 1)
            t = diary.after(t, diary.pace.press_s)
            if until is not None and t >= until:
                break
            pick = f.Picked(t, task, pieces, self.lot(task), says_lu)
            if named:
                self._presses += 1
                witness = task.station if diary.chance(diary.habits.witnessed) else 0
                pick = pick._replace(press=f"{task.key}.{self._presses}", witness=witness)
            diary.add(pick)
            qty -= pieces
        return t

    def lot(self, task: Task) -> str:
        sku = task.line.sku
        return f"L{self._diary.rng.randrange(1, 4)}{sku.name[-2:]}" if sku.lot_tracked else ""

    def _last_lot(self, task: Task) -> str:
        return Ledger(self._diary.log).picks(task)[-1].lot

    def _put_back(self, task: Task, t: int) -> int:
        """One piece of what was picked last; returns when."""
        t = self._diary.after(t, self._diary.pace.second_thought_s)
        self._diary.add(f.PutBack(t, task, 1, self._last_lot(task)))
        return t

    def _put_all_back(self, task: Task, t: int) -> int:
        held = Counter[str]()
        for move in Ledger(self._diary.log).moves(task):
            held[move.lot] += move.qty
        for lot, qty in sorted(held.items()):
            if qty:
                t = self._diary.after(t, self._diary.pace.second_thought_s)
                self._diary.add(f.PutBack(t, task, qty, lot))
        return t

    # ---- shorts and second thoughts

    @staticmethod
    def _found_min(task: Task) -> int:
        """A line without tasks or picks has no short but the order system's own (R23)."""
        return 1 if task.id is None else 0

    def _run_short(self, task: Task, t: int) -> Done:
        diary = self._diary
        found = diary.rng.randrange(self._found_min(task), task.qty)
        t = diary.after(self._press(task, found, t), diary.pace.press_s)
        code = "EMPTY" if found == 0 else diary.rng.choice(_SHORT_CODES)
        diary.add(f.Shorted(t, task, code))
        if diary.chance(diary.habits.found_after_short):
            t = self._press(task, 1, diary.after(t, diary.pace.second_thought_s))
            return t, found + 1
        if task.id is not None and not task.line_only and diary.chance(diary.habits.shorts_replaced):
            return self._look_elsewhere(task, task.qty - found, found, t)
        return t, found

    def _look_elsewhere(self, task: Task, missing: int, found: int, t: int) -> Done:
        t = self._diary.after(t, self._diary.pace.second_thought_s)
        another = self._paper.replace(task, missing, t)
        self.touchy.update((task, another))
        return self._press(another, missing, self._diary.after(t, self._diary.pace.travel_s)), found + missing

    def _think_again(self, task: Task, t: int) -> Done:
        """A piece goes back, damaged perhaps; another takes its place, or the task ends short."""
        diary = self._diary
        t = self._put_back(task, t)
        t = diary.after(t, diary.pace.second_thought_s)
        if task.qty > 1 and diary.chance(0.3):
            diary.add(f.Shorted(t, task, "DAMAGED"))
            return t, task.qty - 1
        return self._press(task, 1, t), task.qty

    def _pick_too_many(self, task: Task, t: int) -> Done:
        t = self._press(task, 1, t)
        if not self._diary.chance(self._diary.habits.over_put_back):
            return t, task.qty + 1
        return self._put_back(task, t), task.qty

    def _take_wrong_sku(self, task: Task, t: int) -> Done:
        """In the middle of it, a piece of something else; found out at once, or never."""
        diary = self._diary
        t = self._press(task, task.qty - 1, t)
        t = diary.after(t, diary.pace.press_s)
        wrong = diary.book.wrong_sku(task.line.sku)
        diary.add(f.Picked(t, task, 1, "", True, wrong))
        if diary.chance(0.5):
            t = diary.after(t, diary.pace.second_thought_s)
            diary.add(f.PutBack(t, task, 1, "", wrong))
        return self._press(task, 1, t), task.qty

    # ---- the order system changes its mind

    def _work_in_vain(self, task: Task, t: int) -> Done:
        """Until the floor hears of the cancel. Then everything goes back where it came from, unless it was too late."""
        diary, cancel = self._diary, self._paper.cancels[task.line]
        self.touchy.add(task)
        if cancel.known <= t:
            return t, 0
        t = self._press(task, task.qty, t, cancel.known)
        picks = Ledger(diary.log).picks(task)
        held = sum(pick.qty for pick in picks)
        if cancel.known > t or any(pick.t >= cancel.t for pick in picks) or diary.chance(0.2):
            return t, held
        return self._put_all_back(task, t), 0

    def _take_back(self, task: Task, t: int) -> Done:
        """The order system takes the task back and plans it at another place."""
        diary, qty = self._diary, task.qty
        t = self._press(task, diary.rng.randrange(qty + 1), t)
        t = diary.after(t, diary.pace.second_thought_s)
        diary.add(f.TaskCancelled(t, t, task))
        if Ledger(diary.log).picks(task):
            t = self._put_all_back(task, t)
        return self._look_elsewhere(task, qty, 0, t)

    def _change_quantity(self, task: Task, t: int) -> Done:
        diary, self._changed = self._diary, True
        if diary.chance(0.5):
            return self._want_more(task, t)
        return self._want_less(task, t)

    def _want_more(self, task: Task, t: int) -> Done:
        """Before the task is complete, or after."""
        diary = self._diary
        picked = diary.rng.randrange(task.qty + 1)
        more = diary.rng.randrange(1, 4)
        t = diary.after(self._press(task, picked, t), diary.pace.second_thought_s)
        t = self._paper.change(task, task.qty + more, t)
        t = self._press(task, task.qty + more - picked, diary.after(t, diary.pace.travel_s))
        return t, task.qty + more

    def _want_less(self, task: Task, t: int) -> Done:
        """While there is enough already, after a short, or after the last piece, which then goes back."""
        diary = self._diary
        if task.qty == 1:
            return self._want_more(task, t)
        picked = diary.rng.randrange(1, task.qty + 1)
        t = self._press(task, picked, t)
        if picked == task.qty:
            t = self._paper.change(task, picked - 1, diary.after(t, diary.pace.second_thought_s))
            return self._put_back(task, t), picked - 1
        if diary.chance(0.4):
            t = diary.after(t, diary.pace.press_s)
            diary.add(f.Shorted(t, task, "INSUFFICIENT"))
        return self._paper.change(task, picked, diary.after(t, diary.pace.second_thought_s)), picked

    # ---- stock

    def _expect(self, task: Task, qty: int, t: int) -> int:
        """The books say how much lies at the task's place, which nobody else uses; returns when that was so."""
        self._paper.move(task, f"{task.loc}-{task.id}")
        sku = task.line.sku.name
        body = {"loc": task.loc, "sku": sku, "rev": 1, "qty": qty, "as_of": t}
        self._diary.add(f.Announced(t, "stock.expectation", body))
        return self._diary.after(t, (2.0, 4.0))

    def _find_too_little(self, task: Task, t: int) -> Done:
        """The books say that there is enough, or they knew better than the order system."""
        diary, found = self._diary, self._diary.rng.randrange(task.qty)
        enough = diary.chance(0.7)
        qty = task.qty + diary.rng.randrange(5) if enough else found
        t = diary.after(self._press(task, found, self._expect(task, qty, t)), diary.pace.press_s)
        diary.add(f.Shorted(t, task, diary.rng.choice(("EMPTY", "INSUFFICIENT", "NOT_FOUND"))))
        return t, found

    def _count_meanwhile(self, task: Task, t: int) -> Done:
        diary, left = self._diary, task.qty
        there = task.qty + diary.rng.randrange(10)
        t = self._expect(task, there, t)
        while left:
            part = diary.rng.randrange(1, left + 1)
            t = self._press(task, part, t)
            left -= part
            if diary.chance(0.6):
                t = diary.after(t, (2.0, 6.0))
                counted = there - task.qty + left + diary.rng.choice((-1, 0, 0, 0, 2))
                diary.add(f.Counted(t, task.loc, task.line.sku, max(0, counted), task.station))
        return t, task.qty

    # ---- nobody says anything

    def _keep_deadline(self, task: Task, t: int) -> Done:
        t = self._press(task, task.qty, t)
        self._paper.set_deadline(task, self._diary.after(t, (0.5, 60.0)))
        return t, task.qty

    def _miss_deadline(self, task: Task, t: int) -> Done:
        diary = self._diary
        found = diary.rng.randrange(task.qty)
        t = diary.after(self._press(task, found, t), diary.pace.second_thought_s)
        self._paper.set_deadline(task, t)
        diary.add(f.Expired(t, task, "DEADLINE"))
        if diary.chance(0.3):
            t = self._press(task, 1, diary.after(t, diary.pace.second_thought_s))
            found += 1
        return t, found

    def _abandon(self, task: Task, t: int) -> Done:
        found = self._diary.rng.randrange(task.qty)
        self.abandoned.append(task)
        return self._press(task, found, t), found
