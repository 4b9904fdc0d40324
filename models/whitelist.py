"""What may become part of a node command or of CTID.conf, which root shells source (facts §4.5).

Orders use these types, and the driver checks with them again before it builds a command:
nothing else stands between an order and a root shell.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated

from pydantic import AfterValidator, Field

LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(?:\.{LABEL})*")
WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
DESCRIPTION = re.compile(r"[A-Za-z0-9 ._:,@=+/-]{0,255}")  # facts §4.5: the set that survives unescaped
PROXY = re.compile(rf"https?://(?:(?:{LABEL})(?:\.{LABEL})*|\[(?P<six>[0-9a-f:]+)\]):(?P<port>[0-9]{{1,5}})")
JOB_ID = re.compile(r"[0-9A-Z]{26}")  # a ULID
PASSWORD = re.compile(r"[!-~]{8,128}")  # printable ASCII without blanks: one line of chpasswd
SCRIPT_END = "vzq-end-of-script"  # ends the text of a script on its way into a container (workers/openvz/inside.py)


def _matching(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            shown = text if len(text) <= 40 else text[:37] + "..."
            raise ValueError(f"{shown!r} is not {what}")
        return text

    return AfterValidator(check)


def sendable(script: str) -> str:
    """A script that can be sent into a container; raises ValueError for another."""
    if "\0" in script:
        raise ValueError("holds a NUL, which no shell can take")
    if SCRIPT_END in script.split("\n"):
        raise ValueError(f"has the line {SCRIPT_END}, which vzq ends scripts with; write it in another way")
    return script


def _unicast(text: str) -> str:
    if "%" in text:  # a zone may hold any character, and no container's address has one
        raise ValueError(f"{text[:40]!r} carries an IPv6 zone")
    address: IPv4Address | IPv6Address = ip_address(text)  # its ValueError already says what is wrong
    if address.is_multicast or address.is_unspecified:
        raise ValueError(f"{text!r} is not an address a host can have")
    return str(address)


def _proxy(text: str) -> str:
    """http(s)://HOST:PORT; no credentials, for it stands in command lines and logs."""
    match = PROXY.fullmatch(text)
    if match is None or not 1 <= int(match["port"]) <= 65_535:
        raise ValueError(f"{text[:60]!r} is not a proxy; write http://HOST:PORT or https://HOST:PORT, without user, password or path")
    if match["six"]:
        ip_address(match["six"])
    return text


# 1..100 are reserved by OpenVZ, the top of the range is vzctl's own limit (facts §1).
CtId = Annotated[int, Field(strict=True, ge=101, le=2_147_483_644)]
HostName = Annotated[str, _matching(HOSTNAME, "a host name (letters, digits, '-' and '.')")]
Word = Annotated[str, _matching(WORD, "a plain name (letters, digits, '.', '_' and '-'; 1 to 64 characters)")]
Description = Annotated[str, _matching(DESCRIPTION, "free of quotes, '$', '\\' and the like (letters, digits, ' ._:,@=+/-')")]
Proxy = Annotated[str, AfterValidator(_proxy)]
Address = Annotated[str, AfterValidator(_unicast)]
JobId = Annotated[str, _matching(JOB_ID, "a job id (26 digits and capital letters)")]
Password = Annotated[str, _matching(PASSWORD, "a password of 8 to 128 printable characters without blanks")]
