"""Secrets at rest: sealed with a key from a file (VZQ_SECRET_KEY_FILE), so that the database alone gives nothing away."""

import hashlib
import hmac
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

SEALED = "(sealed)"  # what stands in the row of an order where it had a secret


class VaultError(Exception):
    """The key file is missing, readable by others, or not the one the secret was sealed with."""


class Vault:
    """Seals and opens; the file holds one key a line, the first seals, all open (so keys can be rotated)."""

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file

    def seal(self, plain: str) -> str:
        """Encrypt; raises VaultError when there is no usable key."""
        return self._keys().encrypt(plain.encode()).decode()

    def open(self, sealed: str) -> str:
        """Decrypt what `seal` gave; raises VaultError when the key is another one."""
        try:
            return self._keys().decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise VaultError(f"{self._key_file} is not the key this secret was sealed with; put the old key back as a second line") from None

    def fingerprint(self, plain: str) -> str:
        """The same text gives the same answer, and nobody without the key can guess the text from it."""
        self._keys()  # raises VaultError when there is none
        oldest = self._key_file.read_text().split()[-1]  # stays the same when a new key is put in front
        return hmac.new(oldest.encode(), plain.encode(), hashlib.sha256).hexdigest()

    def derived(self, purpose: str) -> bytes:
        """A key of 32 bytes for this purpose alone, the same wherever the house's key is; raises VaultError when there is none."""
        return bytes.fromhex(self.fingerprint(f"key for {purpose}"))

    def _keys(self) -> MultiFernet:
        try:
            lines = self._key_file.read_text().split()
            return MultiFernet([Fernet(line) for line in lines])
        except (OSError, ValueError) as error:
            raise VaultError(f"no usable key in {self._key_file}: {error}; make one with `vzq up` or `vzq key`") from error


def make_key_file(path: Path) -> None:
    """Write a new key, readable by its owner only; leaves a file that is there already alone."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(Fernet.generate_key() + b"\n")
