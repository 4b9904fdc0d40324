"""The command line of vzmigrate 4.11."""

from dataclasses import dataclass, field
from getopt import GetoptError, gnu_getopt

from ops.simnode.calls import Call, Refused

MUX = """\
--ssh-mux
\tUse ssh connection multiplexing (speeds up live migration).
"""
USAGE = """\
This program is used for container migration to another node.
Usage:
  vzmigrate [option ...] destination_address <CTID>
Options:
-r, --remove-area yes|no
\tWhether to remove container on source host after successful migration.
--ssh=<ssh options>
\tAdditional options that will be passed to ssh while establishing
\tconnection to destination host. Please be careful with options
\tpassed, DO NOT pass destination hostname.
{mux}--rsync=<rsync options>
\tAdditional options that will be passed to rsync.
--keep-dst
\tDo not clean synced destination container private area in case of some
\terror. It makes sense to use this option on big container migration to
\tavoid re-syncing container private area in case some error
\t(on container stop for example) occurs during first migration attempt.
-c, --compact
\tCompact a container image before migration. Works for ploop only.
-s, --snapshot
\tCreate a container snapshot before migration. Works for ploop only.
--live
\tPerform live migration: instead of restarting a container, checkpoint
\tand restore are used, so there is no container downtime or service
\tinterruption. Additional steps are performed to minimize the time
\twhen a container is in suspended state.
--check-only, --dry-run
\tDo not perform actual migration, stop after preliminary checks.
\tThis is used to check if a CT can possibly be migrated. Combine
\twith --live to enable more checks for live migration case.
-f, --nodeps[=<check>[,<check> ...]]
\tContinue migration, ignoring some or all preliminary check failures.
\tParticular checks can be ignored by providing an argument to
\t--nodeps option. The following options can be used (comma-separated):
\t  * cpu\t\t- ignore cpu capabilities check
\t  * ipv6\t- ignore ipv6 module check
-v
\tVerbose mode. Causes vzmigrate to print debugging messages about
\tits progress (including some time statistics). Multiple -v options
\tincrease the verbosity. The maximum is 4.
-t, --times
\tAt the end of live migration, output various timings for migration
\tstages that affect total suspended CT time.

Examples:
\tOnline migration of CT #101 to foo.com:
\t\tvzmigrate --live foo.com 101
\tMigration of CT #102 to foo.com with downtime:
\t\tvzmigrate foo.com 102
Notes:
\tThis program uses ssh as a transport layer. You need to put ssh
\tpublic key to destination node and be able to connect without
\tentering a password.
"""
BAD_USAGE = """\
Invalid usage{}

For command line syntax, please check
  vzmigrate --help
  man vzmigrate
"""
SHORT = "r:csftvh"
LONG = [
    "remove-area=", "ssh=", "ssh-mux", "rsync=", "keep-dst", "live", "online", "compact", "snapshot", "check-only", "dry-run", "nodeps",
    "times", "verbose", "help",
]  # fmt: skip
SAME = {
    "--remove-area": "-r", "--online": "--live", "--dry-run": "--check-only", "--nodeps": "-f", "--times": "-t", "--verbose": "-v",
    "--compact": "-c", "--snapshot": "-s", "--help": "-h",
}  # fmt: skip
HIGHEST_VERBOSITY = 4


@dataclass(frozen=True)
class Options:
    """What one call asks for."""

    host: str
    container: str
    given: dict[str, list[str]] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()  # checks that may fail: cpu, ipv6, all

    def has(self, option: str) -> bool:
        return option in self.given

    @property
    def live(self) -> bool:
        return self.has("--live")

    @property
    def removes(self) -> bool:
        return self.given.get("-r", ["yes"])[-1] == "yes"

    @property
    def verbose(self) -> bool:
        return self.has("-v")

    @property
    def times(self) -> bool:
        return self.has("-t") or self.verbose

    @property
    def ssh(self) -> str:
        return self.given.get("--ssh", [""])[-1]

    def may_fail(self, check: str) -> bool:
        return check in self.ignored or "all" in self.ignored


async def parsed(call: Call) -> Options | None:
    """The options, or None when all there was to do is the usage; raises Refused 1 after saying what is wrong."""
    mux = call.node.flavour.ssh_mux
    if not call.words:
        await call.put(USAGE.format(mux=MUX if mux else ""))
        return None
    words = [f"--nodeps-only={word.partition('=')[2]}" if word.startswith("--nodeps=") else word for word in call.words]
    try:
        known = [word for word in LONG if mux or word != "ssh-mux"]
        found, rest = gnu_getopt(words, SHORT, [*known, "nodeps-only="])
    except GetoptError as error:
        wrong = f"unrecognized option '--{error.opt}'" if "not recognized" in error.msg and len(error.opt) > 1 else error.msg
        await call.put(f"vzmigrate: {wrong}\n", error=True)
        await call.put(BAD_USAGE.format(""))
        raise Refused(1) from None
    given: dict[str, list[str]] = {}
    for option, value in found:
        given.setdefault(SAME.get(option, option), []).append(value)
    if "-h" in given:
        await call.put(USAGE.format(mux=MUX if mux else ""))
        return None
    wrong = _wrong(given, rest)
    if wrong:
        await call.put(BAD_USAGE.format(f": {wrong}"))
        raise Refused(1)
    only = {check for value in given.get("--nodeps-only", []) for check in value.split(",")}
    return Options(rest[0], rest[1], given, frozenset(only | ({"all"} if "-f" in given else set())))


def _wrong(given: dict[str, list[str]], rest: list[str]) -> str:
    for value in given.get("-r", []):
        if value not in ("yes", "no"):
            return f"bad argument for -r: {value}"
    for value in given.get("--nodeps-only", []):
        unknown = [check for check in value.split(",") if check not in ("cpu", "ipv6", "all")]
        if unknown:
            return f"bad argument for --nodeps: {unknown[0]}"
    if len(given.get("-v", [])) > HIGHEST_VERBOSITY:
        return "too many -v options"
    if len(rest) < 2:
        return "not enough parameters"
    return "too many parameters" if len(rest) > 2 else ""
