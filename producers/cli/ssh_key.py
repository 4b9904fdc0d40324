"""The management host's ssh key: made once, never overwritten, readable by its owner only."""

import base64
import hashlib
import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_ssh_private_key


def management_key(file: Path) -> tuple[bool, str, str]:
    """Whether it was made just now, its public line, and its fingerprint; raises OSError or ValueError when it cannot be used."""
    made = not file.exists() and _make(file)
    try:
        private = load_ssh_private_key(file.read_bytes(), password=None)
    except (TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a passphrase, which no worker could enter
        raise ValueError(str(error)) from None
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    digest = hashlib.sha256(base64.b64decode(public.split()[1])).digest()
    line = f"{public} vzq@{socket.gethostname()}"
    public_file = file.with_name(file.name + ".pub")
    if not public_file.exists():
        with suppress(OSError):  # a convenience; the private key is what counts
            public_file.write_text(line + "\n")
    return made, line, "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _make(file: Path) -> bool:
    """Written apart and linked into place, so that nobody sees half a key and the first of two makers wins."""
    content = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    apart = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(apart, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as written:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        os.link(apart, file)
    except FileExistsError:
        return False
    finally:
        apart.unlink()
    return True
