"""Why an order is not taken; each says what to do instead. Nothing was changed when one of these is raised."""

from collections.abc import Mapping, Sequence


class Refusal(Exception):
    """Root: the order was not accepted."""


class BadOrder(Refusal):
    """The order itself is wrong: unknown plan, unknown node … `problems` maps a field to what is wrong with it."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {what}" for field, what in problems.items()))
        self.problems = dict(problems)


class KeyReused(Refusal):
    """The same key came with another order; `fields` are the ones that differ."""

    def __init__(self, key: str, job_id: str, fields: Sequence[str], *, what: str = "job") -> None:
        differing = ", ".join(fields)
        super().__init__(f"key {key!r} was used for {what} {job_id} with another order (different: {differing}); use a new key for a new order")
        self.job_id = job_id
        self.fields = list(fields)
        self.what = what

    def told_as(self, key: str) -> "KeyReused":
        """The same, with the key as its owner wrote it: a customer's is stored with whose it is."""
        return KeyReused(key, self.job_id, self.fields, what=self.what)


class KeySpent(Refusal):
    """The key is of a job or campaign whose history was pruned: what became of it is known, its order is not kept any more."""

    def __init__(self, key: str, job_id: str, ended: str, *, same: bool, what: str = "job") -> None:
        asked = "this very order" if same else "another order"
        super().__init__(
            f"key {key!r} was used for {asked}, {what} {job_id} ({ended}), whose history was pruned; nothing was ordered, a new order needs a new key"
        )
        self.job_id = job_id


class NoRoom(Refusal):
    """No node, id or address can be had; `reasons` says why not, node by node or pool by pool."""

    def __init__(self, what: str, reasons: Mapping[str, str]) -> None:
        listed = "; ".join(f"{name}: {why}" for name, why in reasons.items())
        super().__init__(f"{what} ({listed})" if listed else what)
        self.reasons = dict(reasons)
