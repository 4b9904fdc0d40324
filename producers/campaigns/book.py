"""What is counted for one decision of a campaign: what the budget has left, and what may be started beside what is in flight."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from models.campaign_states import GOOD, OPEN_OUTCOMES, Outcome
from producers.campaigns.rules import UNIT, Rules, Seen


class Book:
    """What is counted for one decision."""

    def __init__(self, rules: Rules, targets: Sequence[Seen]) -> None:
        self.rules = rules
        self._targets = targets
        self.waiting = [target for target in targets if target.outcome is Outcome.NOT_STARTED]
        self._flying = [target for target in targets if target.outcome is Outcome.IN_FLIGHT]
        self._ended = [target for target in targets if target.outcome not in OPEN_OUTCOMES]
        self.flying = len(self._flying)
        counts = rules.budget.counts
        self._failed = sum(target.outcome in counts for target in self._ended)
        self._failed_canaries = sum(target.outcome in counts for target in self._ended if target.wave == 0) if rules.canaries else 0
        # What a rate is reckoned of: skipped ones tell nothing, unless they use up the budget.
        self._reckoned = sum(target.outcome is not Outcome.SKIPPED or target.outcome in counts for target in self._ended)
        self._why = ""  # what kept the last one from being started

    # -- the budget ------------------------------------------------------------------------------------------

    def lost(self) -> str:
        """A failure after which no allowance lets it go on; "" where there is none."""
        lost = next((target for target in self._ended if target.vital and target.outcome in self.rules.budget.counts), None)
        return f"node {lost.node}: {lost.outcome}" if lost is not None else ""

    def used_up(self) -> str:
        """Why the budget is used up; "" while it is not."""
        budget = self.rules.budget
        if lost := self.lost():
            return f"{lost}; no other is touched until a person has looked"
        allowed = self._allowed(self._reckoned)
        if allowed is not None and self._failed > allowed:
            return f"{self._failed} of the first {self._reckoned} failed, {_at_most(allowed)}"
        if self._failed_canaries > budget.canaries + budget.more:
            return f"{self._failed_canaries} of the canaries failed, {_at_most(budget.canaries + budget.more)}"
        return ""

    def _allowed(self, reckoned: int) -> int | None:
        """How many of so many may fail."""
        budget = self.rules.budget
        bounds = [] if budget.most is None else [budget.most]
        if budget.rate is not None:
            bounds.append(budget.rate * max(reckoned, budget.sample) // UNIT)
        return min(bounds) + budget.more if bounds else None

    def _affords(self, wave: int, more: int) -> bool:
        """Whether so many more may be in flight: if all of them failed, the budget would be used up by the last one, not before."""
        budget = self.rules.budget
        worst = self._failed + self.flying + more
        allowed = self._allowed(self._reckoned + self.flying + more)
        if allowed is not None and worst > allowed + 1:
            return False
        if self.rules.canaries and wave == 0:
            return self._failed_canaries + self.flying + more <= budget.canaries + budget.more + 1
        return True

    # -- waves and limits ------------------------------------------------------------------------------------

    def flying_before(self, wave: int) -> int:
        """How many of earlier waves are in flight."""
        return sum(target.wave < wave for target in self._flying)

    def soaked(self, wave: int) -> datetime | None:
        """When the soak after the wave before is over; None when there is none to wait for."""
        before = [target for target in self._ended if target.wave < wave and target.outcome is not Outcome.SKIPPED and target.ended_at]
        if not before or any(target.wave == wave and target.outcome is not Outcome.NOT_STARTED for target in self._targets):
            return None
        last = max(target.wave for target in before)
        soak = self.rules.canary_soak if self.rules.canaries and last == 0 else self.rules.soak
        return max(target.ended_at for target in before if target.ended_at) + soak if soak else None

    def startable(self, wave: int) -> Iterator[int]:
        """Places of this wave that may be started now, in their order."""
        taken: Counter[tuple[str, str]] = Counter()
        for target in self._flying:
            taken.update(self._groups(target))
        limits = self._limits()
        count = 0
        for target in self.waiting:
            if target.wave != wave:
                continue
            if target.hold:
                self._why = self._why or target.hold
                continue
            if self.flying + count >= self.rules.at_once:
                self._why = f"{self.rules.at_once} at once are in flight"
                return
            if not self._affords(wave, count + 1):
                self._why = f"{self.flying + count} in flight could use up the failure budget"
                return
            full = next((group for group in self._groups(target) if taken[group] >= limits[group[0]]), None)
            if full is not None:
                self._why = f"{limits[full[0]]} at once of {full[0]} {full[1]} are in flight"
                continue
            taken.update(self._groups(target))
            count += 1
            yield target.place

    def standstill(self, wave: int) -> str:
        """Why nothing of this wave can be started."""
        held = sum(bool(target.hold) for target in self.waiting if target.wave == wave)
        if not self.flying and held:
            return f"{held} of wave {wave} wait: {self._why}"
        return self._why or "nothing can be started"

    def progress(self) -> list[datetime]:
        """When targets ended well, the soak after them included: waiting for it is no standstill."""
        soak = max(self.rules.soak, self.rules.canary_soak)
        return [target.ended_at + soak for target in self._ended if target.outcome in GOOD and target.ended_at]

    def _limits(self) -> dict[str, int]:
        limits = {"node": self.rules.per_node, "customer": self.rules.per_customer}
        labels = {f"label {name}": most for name, most in self.rules.per_label.items()}
        return {name: most for name, most in limits.items() if most is not None} | labels

    def _groups(self, target: Seen) -> list[tuple[str, str]]:
        """What the target takes a share of, where that is limited."""
        groups = []
        if self.rules.per_node is not None and target.node:
            groups.append(("node", target.node))
        if self.rules.per_customer is not None and target.customer:
            groups.append(("customer", target.customer))
        return groups + [(f"label {name}", target.labels[name]) for name in self.rules.per_label if name in target.labels]


def _at_most(allowed: int) -> str:
    return "none may" if allowed == 0 else f"{allowed} may"
