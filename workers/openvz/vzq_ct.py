"""vzq's own program on the node, vzq-ct, in words: looks, marks, debris, old systems put aside (ops/docs/node-side.md)."""

from datetime import timedelta

from workers.commands import Command, Finished
from workers.openvz import sights
from workers.openvz.checked import WORD, checked, container_id, job_mark, layout_of
from workers.openvz.driver import Abilities, Flow, Sight

_QUICK = timedelta(minutes=2)  # before the command is cancelled on the node
_REMOVAL = timedelta(minutes=15)
_USAGE = timedelta(minutes=10)  # counting some millions of files


class VzqCt:
    """Part of every driver."""

    # -- what is there ----------------------------------------------------------------------------------------

    def look(self, ctid: int) -> Command:
        """Changes nothing; runs directly, not through vzq-run. Read it with `sight`."""
        return Command("look", ["vzq-ct", "look", container_id(ctid)], timeout=_QUICK)

    def sight(self, answer: Finished) -> Sight:
        """What `look` saw."""
        return sights.read_sight(answer)

    def facts(self) -> Command:
        """Changes nothing; runs directly. Read it with `abilities`."""
        return Command("facts", ["vzq-ct", "facts"], timeout=_QUICK)

    def abilities(self, answer: Finished) -> Abilities:
        """What `facts` found out."""
        return sights.read_abilities(answer)

    def survey(self) -> Command:
        """All that is on the node but what runs, in one answer; changes nothing; runs directly. Read it with `surveyed`."""
        return Command("survey", ["vzq-ct", "survey"], timeout=_QUICK)

    def surveyed(self, answer: Finished) -> list[Sight]:
        """Every id of which there is a trace; whether it runs, the listing knows."""
        return sights.read_survey(answer)

    def traffic(self) -> Command:
        """What every running container sent and received, in one answer; changes nothing; runs directly. Read it with `flows`."""
        return Command("traffic", ["vzq-ct", "traffic"], timeout=_QUICK)

    def flows(self, answer: Finished) -> dict[int, Flow]:
        """By container; those that the node cannot tell of are not among them."""
        return sights.read_traffic(answer)

    def usage(self, ctid: int) -> Command:
        """The disk its files take; changes nothing; runs directly. Read it with `used`."""
        return Command("usage", ["vzq-ct", "usage", container_id(ctid)], timeout=_USAGE)

    def used(self, answer: Finished) -> int:
        """Bytes that `usage` counted."""
        return sights.read_used(answer)

    # -- making and unmaking ----------------------------------------------------------------------------------

    def plant(self, ctid: int, job: str, *, sample: str, layout: str) -> Command:
        """Write the conf first, with the job's mark: the id is ours from then on, or Taken."""
        return Command("plant", ["vzq-ct", "plant", container_id(ctid), job_mark(job), checked(WORD, sample), layout_of(layout)], timeout=_QUICK)

    def clean(self, ctid: int, job: str) -> Command:
        """Clear what a killed create of this job left; a whole container stays. Safe to repeat."""
        return Command("clean", ["vzq-ct", "clean", container_id(ctid), job_mark(job)], timeout=_REMOVAL)

    def unplant(self, ctid: int, job: str) -> Command:
        """Take the planted conf away if there is no private area; last word of an undo. Safe to repeat."""
        return Command("unplant", ["vzq-ct", "unplant", container_id(ctid), job_mark(job)], timeout=_QUICK)

    def adopt(self, ctid: int, job: str) -> Command:
        """Put the job's mark on a container that has none; Taken if it has another's. Safe to repeat."""
        return Command("adopt", ["vzq-ct", "adopt", container_id(ctid), job_mark(job)], timeout=_QUICK)

    def disown(self, ctid: int, job: str) -> Command:
        """Take away the mark that `adopt` put there for this job. Safe to repeat."""
        return Command("disown", ["vzq-ct", "disown", container_id(ctid), job_mark(job)], timeout=_QUICK)

    def unlock(self, ctid: int) -> Command:
        """Take a lock away whose process is dead; another's lock stays. Safe to repeat."""
        return Command("unlock", ["vzq-ct", "unlock", container_id(ctid)], timeout=_QUICK)

    def sweep(self, ctid: int) -> Command:
        """Clear what bears nobody's mark and was not touched for an hour; nothing with a conf or with files of a container."""
        return Command("sweep", ["vzq-ct", "sweep", container_id(ctid)], timeout=_REMOVAL)

    # -- the old system of a reinstall --------------------------------------------------------------------------

    def aside(self, ctid: int, job: str, owner: str) -> Command:
        """Put a stopped, unmounted container that bears `owner`'s mark away under the same id, for `job`. Safe to repeat."""
        return Command("aside", ["vzq-ct", "aside", container_id(ctid), job_mark(job), job_mark(owner)], timeout=_QUICK)

    def back(self, ctid: int, job: str) -> Command:
        """Bring back what `job` put away, once nothing else is under the id; half of it too. Safe to repeat."""
        return Command("back", ["vzq-ct", "back", container_id(ctid), job_mark(job)], timeout=_QUICK)

    def drop(self, ctid: int, job: str) -> Command:
        """Remove for good what `job` put away, and nothing else. Safe to repeat."""
        return Command("drop", ["vzq-ct", "drop", container_id(ctid), job_mark(job)], timeout=_REMOVAL)

    def keys(self, ctid: int, job: str) -> Command:
        """Give the new system the ssh host keys and root's authorized_keys of the one put away (simfs only)."""
        return Command("keys", ["vzq-ct", "keys", container_id(ctid), job_mark(job)], timeout=_QUICK)
