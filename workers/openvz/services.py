"""Which services run in a container, in the words of its own init: systemd, OpenRC, or the scripts of System V."""

import re

# Names from PATH only; a line a service. What none of them can tell is told as nothing, which is not the same as none.
SCRIPT = r"""
export LC_ALL=C
if systemctl --version >/dev/null 2>&1; then
    echo 'vzq: services systemd'
    systemctl list-units --type=service --state=running --plain --no-legend --no-pager 2>/dev/null |
        sed -n 's/^ *\([^ ]*\)\.service .*/vzq: service \1/p'
elif command -v rc-status >/dev/null 2>&1 && rc-status >/dev/null 2>&1; then
    echo 'vzq: services openrc'
    rc-status -a 2>/dev/null | sed -n 's/^ *\([^ ]*\)  *\[ *started .*/vzq: service \1/p' | sort -u
elif service --status-all >/dev/null 2>&1; then
    echo 'vzq: services sysv'
    service --status-all 2>/dev/null </dev/null |
        sed -n 's/^\([^ ]*\) (pid .*) is running.*/vzq: service \1/p; s/^ *\[ + \]  *\([^ ]*\)$/vzq: service \1/p'
fi
exit 0
"""
_SERVICE = re.compile(r"^vzq: service (\S+)$", re.MULTILINE)
_PASSING = re.compile(
    r"user@\d+|session-|systemd-(tmpfiles|hostnamed|timedated|localed)|apt-daily|dpkg-db-backup|man-db|logrotate|packagekit|fstrim"
)  # they come and go by themselves


def running(output: str) -> set[str] | None:
    """Names of the services; None where nobody there can tell. What comes and goes by itself is left out."""
    if "vzq: services " not in output:
        return None
    return {name for name in _SERVICE.findall(output) if not _PASSING.match(name)}
