"""The packing line: a carton is closed, weighed and labelled; opened again, held, taken out of the story."""

from __future__ import annotations

from simulators import floor as f
from simulators.diary import Diary
from simulators.floor import TOLERANCE_G, Carton, Task
from simulators.ledger import Ledger
from simulators.paperwork import Paperwork
from simulators.picking import Picker


class Packer:
    """Packs the cartons of one shipment."""

    def __init__(self, diary: Diary, paper: Paperwork, picker: Picker) -> None:
        self._diary = diary
        self._paper = paper
        self._picker = picker

    def close(self, carton: Carton, t: int) -> int:
        """Returns when it leaves the packing line."""
        diary = self._diary
        diary.add(f.Closed(t, carton))
        if diary.chance(diary.habits.weighed):
            if carton.planned_g is None and carton.id is not None and diary.chance(diary.habits.weights_planned):
                self._paper.plan_weight(carton, 250 + self._contents_g(carton), TOLERANCE_G)
            if carton.planned_g is not None and diary.chance(diary.habits.weighed_wrong):
                return self._label(carton, t, self._weigh_wrong(carton, t))
            weighed = diary.after(t, (1.0, 3.5))
            diary.add(f.Weighed(weighed, carton, self._weight(carton)))
            if diary.chance(diary.habits.weighed_late):
                diary.add(f.Weighed(diary.after(t, (30.0, 40.0)), carton, self._weight(carton)))
        return self._label(carton, t, t)

    def _label(self, carton: Carton, closed: int, weighed: int) -> int:
        diary = self._diary
        labelled = diary.after(closed, (9.0, 20.0) if diary.chance(diary.habits.label_late) else (1.5, 4.0))
        if diary.chance(diary.habits.label_noread):
            diary.add(f.Labelled(labelled, carton, "NOREAD"))
            labelled = diary.after(labelled, (3.0, 8.0))
        if diary.chance(diary.habits.label_bad):
            return max(weighed, self._label_badly(carton, labelled))
        diary.add(f.Labelled(labelled, carton, "OK"))
        return max(labelled, weighed, diary.after(closed, (3.6, 4.5)))

    def _label_badly(self, carton: Carton, t: int) -> int:
        """The label is another carton's, or cannot be read: corrected much later, waved through, or never."""
        diary = self._diary
        diary.add(f.Labelled(t, carton, diary.rng.choice(("MISMATCH", "NOREAD"))))
        t = diary.after(t, (25.0, 50.0))
        if diary.chance(0.5):
            diary.add(f.Labelled(t, carton, "OK"))
        elif carton.id is not None and diary.chance(0.6):
            diary.add(f.WavedThrough(t, carton))
        return t

    def _weigh_wrong(self, carton: Carton, t: int) -> int:
        """Somebody leans on the scale: weighed again at once or much later, waved through, or never."""
        diary = self._diary
        wrong_g = diary.rng.choice((-1, 1)) * diary.rng.randrange(TOLERANCE_G + 20, 240)
        weighed = diary.after(t, (0.8, 1.6))
        diary.add(f.Weighed(weighed, carton, self._weight(carton) + wrong_g))
        way = diary.rng.random()
        if way < 0.3:
            weighed = diary.after(t, (2.5, 4.0))
            diary.add(f.Weighed(weighed, carton, self._weight(carton)))
        elif way < 0.7:
            weighed = diary.after(t, (30.0, 40.0))
            diary.add(f.Weighed(weighed, carton, self._weight(carton)))
        elif way < 0.9:
            weighed = diary.after(t, (25.0, 50.0))
            diary.add(f.WavedThrough(weighed, carton))
        return weighed

    def _weight(self, carton: Carton) -> int:
        return 250 + self._diary.rng.randrange(-8, 9) + self._contents_g(carton)

    def _contents_g(self, carton: Carton) -> int:
        each_g = self._diary.book.weights_g
        return sum(item["qty"] * each_g[item["sku"]] for item in Ledger(self._diary.log).contents(carton))

    def check_again(self, carton: Carton, t: int) -> int:
        """Quality control opens a closed carton, sometimes changes a piece for a better one, and closes it again."""
        diary = self._diary
        plain = self._exchangeable(carton)
        task = diary.rng.choice(plain) if plain and diary.chance(0.5) else None
        if task is None or not diary.chance(diary.habits.reopened_untold):
            diary.add(f.Reopened(t, carton))
        if task is not None:
            lot = Ledger(diary.log).picks(task)[-1].lot
            t = diary.after(t, diary.pace.second_thought_s)
            diary.add(f.PutBack(t, task, 1, lot))
            t = diary.after(t, diary.pace.second_thought_s)
            diary.add(f.Picked(t, task, 1, self._picker.lot(task), True))
        return self.close(carton, diary.after(t, diary.pace.to_close_s))

    def _exchangeable(self, carton: Carton) -> list[Task]:
        """Tasks of which a piece can go back without anybody asking what that means."""
        ledger = Ledger(self._diary.log)
        return [
            task
            for task in carton.tasks
            if ledger.picks(task)
            and not ledger.reversals(task)
            and not ledger.ended(task)
            and task not in self._picker.touchy
        ]

    def void(self, carton: Carton, t: int) -> int:
        """The carton is torn, or nobody needs it: it does not exist any more."""
        self._diary.add(f.Voided(t, carton))
        self.give_back(carton, t)
        return t

    def give_back(self, carton: Carton, t: int) -> None:
        """The load unit can be used again, unless the order system still waits for something to be put into it."""
        if not any(task in self._picker.abandoned for task in carton.tasks):
            self._diary.book.units.give_back(t, carton.lu)

    def rebind(self, carton: Carton, t: int) -> int:
        """Somebody takes the tote for another carton while this one is open in it."""
        self._diary.add(f.Rebound(t, carton, f"{carton.id}X"))
        return t
