"""What a container stands for, and what each verb makes of that: one table, used when an order comes and again when it runs."""

from enum import StrEnum, auto


class Standing(StrEnum):
    """What is wanted of a container; whether the node shows it is found out by looking."""

    RUNNING = auto()
    STOPPED = auto()  # by the customer or an operator; may be started
    SUSPENDED = auto()  # by billing: stopped, and neither customer nor reboot starts it
    TERMINATED = auto()  # stopped and kept until its grace is over; can be revived
    GONE = auto()  # purged: no container, no row


R, P, S, T, G = Standing.RUNNING, Standing.STOPPED, Standing.SUSPENDED, Standing.TERMINATED, Standing.GONE
SUSPENDED = "it is suspended; unsuspend it first"
TERMINATED = "it is terminated; revive it first, while its grace lasts"
NOT_RUNNING = "it is stopped; start it first"

# verb → standing before → standing after, or the reason why not. A verb that finds what it wants is done, not refused.
VERBS: dict[str, dict[Standing, Standing | str]] = {
    "start-container": {R: R, P: R, S: SUSPENDED, T: TERMINATED},
    "stop-container": {R: P, P: P, S: S, T: TERMINATED},
    "restart-container": {R: R, P: R, S: SUSPENDED, T: TERMINATED},
    "suspend-container": {R: S, P: S, S: S, T: TERMINATED},
    "unsuspend-container": {R: R, P: P, S: R, T: TERMINATED},
    "resize-container": {R: R, P: P, S: S, T: TERMINATED},
    "reinstall-container": {R: R, P: R, S: SUSPENDED, T: TERMINATED},
    "set-password": {R: R, P: NOT_RUNNING, S: SUSPENDED, T: TERMINATED},
    "set-hostname": {R: R, P: P, S: S, T: TERMINATED},
    "set-nameservers": {R: R, P: P, S: S, T: TERMINATED},
    "rename-container": {R: R, P: P, S: S, T: TERMINATED},
    "add-address": {R: R, P: P, S: S, T: TERMINATED},
    "remove-address": {R: R, P: P, S: S, T: TERMINATED},
    "terminate-container": {R: T, P: T, S: T, T: T},
    "revive-container": {R: R, P: P, S: S, T: R},
    "update-container": {R: R, P: NOT_RUNNING, S: SUSPENDED, T: TERMINATED},
    "purge-container": {R: "terminate it first", P: "terminate it first", S: "terminate it first", T: G},
}
# These end what still waits for the same container and would be pointless behind them.
SUPERSEDES: dict[str, frozenset[str]] = {
    "suspend-container": frozenset({"start-container", "restart-container", "unsuspend-container"}),
    "terminate-container": frozenset(VERBS) - {"terminate-container", "purge-container"} | {"migrate-container"},
    "purge-container": frozenset(VERBS) - {"purge-container"} | {"migrate-container"},
}


def keys_are_lost(ctid: int, why: str) -> str:
    """Said before anything is touched: to copy the keys a ploop image would have to be mounted, which vzq does not do."""
    return (
        f"the ssh host keys and root's authorized_keys of container {ctid} cannot be kept: {why}; nothing was changed;"
        " order it with fresh_keys if the new system may make its own"
    )


def after(verb: str, standing: Standing) -> Standing | str:
    """What `verb` makes of a container standing so, or the reason why it is refused."""
    if standing is Standing.GONE:
        return "it is gone"
    return VERBS[verb][standing]
