"""What an installation has on this machine's disk: state folder, keys, certificate, room."""

import os
import shutil
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from models.settings import Settings
from models.vault import Vault, VaultError
from producers.alerts.rules import RulesError, read_rules
from producers.api.settings import ApiSettings
from producers.doctor.check import Check, fault, look, ok

MIB = 1 << 20
FULL = 256 * MIB  # SQLite's log and a backup of some thousand jobs need as much
LITTLE = 1024 * MIB
EXPIRES_SOON = timedelta(days=14)
OTHERS, GROUP = 0o007, 0o070


@dataclass(frozen=True)
class Room:
    """Of a file system, bytes."""

    total: int
    free: int


def room(path: Path) -> Room:
    """What there is now."""
    usage = shutil.disk_usage(path)
    return Room(usage.total, usage.free)


def state_folder(settings: Settings) -> Check:
    """There, ours, closed to others."""
    path, name = settings.state.absolute(), "state-folder"
    try:
        found = path.stat()
    except OSError as error:
        what = f"{path} cannot be used: {error.strerror}"
        if settings.database and settings.redis_url and settings.secret_key_file:
            return look(name, what, "a worker on this host needs it for its probes: make it, mode 0700, for the user that runs vzq")
        return fault(name, what, "correct --state or VZQ_STATE, or run as the user that owns it; `vzq up` makes one where there is none")
    if not stat.S_ISDIR(found.st_mode):
        return fault(name, f"{path} is no folder", "correct --state or VZQ_STATE")
    return _rights(name, path, found)


def _rights(name: str, path: Path, found: os.stat_result) -> Check:
    if found.st_uid != os.geteuid():
        do = "run vzq and this command as its owner, or chown it"
        return fault(name, f"{path} belongs to uid {found.st_uid}, this is uid {os.geteuid()}", do)
    if found.st_mode & (OTHERS | GROUP):
        return fault(name, f"{path} is open to others (mode {_mode(found)}): keys and rows are in it", f"chmod 0700 {path}")
    if not os.access(path, os.W_OK | os.X_OK):
        return fault(name, f"{path} cannot be written", "see the file system it is on: mounted read-only?")
    return ok(name, f"{path}, only its owner's")


def disk(settings: Settings, free_at: Callable[[Path], Room]) -> Check:
    """Room where the state folder is."""
    path = settings.state.absolute()
    while not path.exists():
        path = path.parent
    found = free_at(path)
    what = f"{found.free // MIB} MiB of {found.total // MIB} MiB are free at {path}"
    do = "make room, `vzq prune --dry-run` tells what history takes"
    if found.free < FULL:
        return fault("disk", what, do)
    return look("disk", what, do) if found.free < LITTLE else ok("disk", what)


def secret_key(settings: Settings) -> Check:
    """The key that passwords are sealed with."""
    path, name = settings.key_file, "secret-key"
    try:
        found = path.stat()
        Vault(path).fingerprint("")
    except OSError as error:
        do = "make one with `vzq key`, or copy it from the other hosts and point VZQ_SECRET_KEY_FILE at it"
        return fault(name, f"{path} cannot be read: {error.strerror}", do)
    except VaultError as error:
        return fault(name, str(error).partition(";")[0], "put the right key back: one a line, as `vzq key` wrote it")
    if found.st_mode & OTHERS:
        return fault(name, f"{path} can be read by everybody (mode {_mode(found)})", f"chmod 0600 {path}, then rotate the key")
    if found.st_mode & GROUP:
        return look(name, f"{path} can be read by its group (mode {_mode(found)})", f"chmod 0600 {path}, unless the group is meant")
    return ok(name, str(path))


def ssh_key(settings: Settings, *, worker_here: bool) -> Check:
    """The key that opens the nodes to this host's workers."""
    path, name = settings.ssh_key_file, "ssh-key"
    try:
        found = path.stat()
        load_ssh_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        if not worker_here:
            return ok(name, f"no {path}, and no worker on this host that would need it")
        return fault(name, f"there is no {path}", "make one with `vzq key` and put it on the nodes, or correct VZQ_SSH_KEY")
    except OSError as error:
        return fault(name, f"{path} cannot be read: {error.strerror}", "see its owner and mode, or correct VZQ_SSH_KEY")
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a passphrase
        return fault(
            name, f"{path} is no private key that a worker can use: {error}", "it must be an OpenSSH key without passphrase; see VZQ_SSH_KEY"
        )
    if found.st_mode & (OTHERS | GROUP):
        return fault(name, f"{path} is open to others (mode {_mode(found)}); it opens every node", f"chmod 0600 {path}")
    return ok(name, str(path))


def tls(settings: ApiSettings, *, now: datetime) -> Check:
    """The API's certificate and key."""
    cert, key, name = settings.api_tls_cert, settings.api_tls_key, "tls"
    if cert is None and key is None:
        return ok(name, "the API speaks plain HTTP; see that nobody but this host or its proxy reaches it")
    if cert is None:
        return fault(name, "VZQ_API_TLS_KEY is set, VZQ_API_TLS_CERT is not", "set both, or neither")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
        ends = x509.load_pem_x509_certificate(cert.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why = getattr(error, "strerror", None) or str(error)
        return fault(name, f"{cert} and {key} cannot be used: {why}", "both must name readable PEM files that belong together")
    told = f"{cert} is valid until {ends:%Y-%m-%d}"
    if ends <= now:
        return fault(name, f"{cert} expired on {ends:%Y-%m-%d}", "renew it and restart the service")
    return look(name, told, "renew it and restart the service") if ends - now < EXPIRES_SOON else ok(name, told)


def alert_rules(settings: ApiSettings) -> Check:
    """What alerts may do."""
    if settings.alert_rules is None:
        return ok("alert-rules", "alerts do nothing here")
    try:
        rules = read_rules(settings.alert_rules)
    except RulesError as error:
        return fault("alert-rules", str(error), "correct it: until then every alert is refused with 503, and Alertmanager sends it again")
    return ok("alert-rules", f"{settings.alert_rules}: {', '.join(f'{name} {rule.do}' for name, rule in rules.items()) or 'no rules'}")


def _mode(found: os.stat_result) -> str:
    return f"{stat.S_IMODE(found.st_mode):04o}"
