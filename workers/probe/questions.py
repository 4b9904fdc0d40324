"""How one question is asked: over ICMP, or by a TCP service that must say something or close. Many may be on their way at once.

A frozen server's kernel still accepts connections, so a connection is no answer. The question is half-closed at once:
a service that waits for its client to speak closes in its turn, if anybody inside is awake.
"""

import errno
import os
import selectors
import socket
import struct
from collections.abc import Callable
from typing import Protocol

from icmplib import ICMPLibError, ICMPRequest, ICMPv4Socket, ICMPv6Socket

Heard = Callable[[float, bool, bool], None]  # sent, whether it was answered, whether its connection had been taken
REPLIES = {0, 129}  # echo reply of ICMP and of ICMPv6
NO_LINGER = struct.pack("ii", 1, 0)


class CannotAsk(Exception):
    """This host cannot ask in this way; the text says what to do."""


class Asker(Protocol):
    """One way to ask. `ask` (False: this host could not) and the selector's callbacks report through `heard`."""

    def ask(self, sent: float) -> bool: ...
    def drop(self, sent: float) -> None: ...
    def taken(self, sent: float) -> bool: ...


def asker(address: str, how: str, selector: selectors.BaseSelector, heard: Heard) -> Asker:
    """The asker for `icmp` or `tcp:PORT`; raises CannotAsk."""
    kind, _, port = how.partition(":")
    if kind == "icmp":
        return Icmp(address, selector, heard)
    if kind != "tcp" or not port.isdigit():
        raise CannotAsk(f"probe {how!r} of the address pool is neither icmp nor tcp:PORT; mend it with `vzq pool`")
    return Tcp(address, int(port), selector, heard)


class Tcp:
    """A connection a question."""

    def __init__(self, address: str, port: int, selector: selectors.BaseSelector, heard: Heard) -> None:
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._where = (address, port)
        self._selector = selector
        self._heard = heard
        self._open: dict[float, tuple[socket.socket, bool]] = {}

    def ask(self, sent: float) -> bool:
        """Begin to connect."""
        try:
            link = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError:
            return False  # no descriptors left
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)  # no port of this host waits a minute for each question
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open[sent] = link, False
        code = link.connect_ex(self._where)
        if code not in (0, errno.EINPROGRESS):
            self._over(sent, answered=False)
        else:
            self._selector.register(link, selectors.EVENT_WRITE, lambda: self._connected(sent))
        return True

    def drop(self, sent: float) -> None:
        """Wait for it no longer."""
        link, _ = self._open.pop(sent)
        self._selector.unregister(link)
        link.close()

    def taken(self, sent: float) -> bool:
        """The kernel there has accepted it."""
        return self._open[sent][1]

    def _connected(self, sent: float) -> None:
        link, _ = self._open[sent]
        if link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._over(sent, answered=False)
            return
        try:
            link.shutdown(socket.SHUT_WR)
        except OSError:
            self._over(sent, answered=False)
            return
        self._open[sent] = link, True
        self._selector.modify(link, selectors.EVENT_READ, lambda: self._readable(sent))

    def _readable(self, sent: float) -> None:
        try:
            self._open[sent][0].recv(64)  # nothing at all is a proper close
        except BlockingIOError:
            return
        except OSError:
            self._over(sent, answered=False)
        else:
            self._over(sent, answered=True)

    def _over(self, sent: float, *, answered: bool) -> None:
        link, taken = self._open.pop(sent)
        if link in self._selector.get_map():
            self._selector.unregister(link)
        link.close()
        self._heard(sent, answered, taken)


class Icmp:
    """One socket for all questions; a question's number says which one a reply belongs to."""

    def __init__(self, address: str, selector: selectors.BaseSelector, heard: Heard) -> None:
        self._address = address
        self._heard = heard
        self._socket = self._opened(ICMPv6Socket if ":" in address else ICMPv4Socket)
        self._id = os.getpid() & 0xFFFF
        self._number = 0
        self._open: dict[int, float] = {}
        selector.register(self._socket.sock, selectors.EVENT_READ, self._readable)

    @staticmethod
    def _opened(kind: type[ICMPv4Socket] | type[ICMPv6Socket]) -> ICMPv4Socket | ICMPv6Socket:
        for privileged in (False, True):
            try:
                return kind(privileged=privileged)
            except ICMPLibError:
                continue
        raise CannotAsk(
            "this management host gives this user no ICMP sockets; widen the sysctl net.ipv4.ping_group_range, or probe the address pool by tcp:PORT"
        )

    def ask(self, sent: float) -> bool:
        """Send an echo request."""
        self._number = (self._number + 1) & 0xFFFF
        request = ICMPRequest(self._address, id=self._id, sequence=self._number, payload_size=16)
        try:
            self._socket.send(request)
        except ICMPLibError:  # no route, refused by a firewall here: as good as unanswered
            self._heard(sent, False, False)
            return True
        self._id = request.id  # without privileges the kernel chose another
        self._open[self._number] = sent
        return True

    def drop(self, sent: float) -> None:
        """Wait for it no longer."""
        self._open = {number: one for number, one in self._open.items() if one != sent}

    def taken(self, sent: float) -> bool:  # noqa: ARG002 - an echo is never held by anybody's kernel
        """Nobody holds an echo."""
        return False

    def _readable(self) -> None:
        try:
            reply = self._socket.receive(timeout=0.005)
        except ICMPLibError:
            return  # not for us, or nothing that can be read
        if reply.type in REPLIES and reply.id == self._id and (sent := self._open.pop(reply.sequence, None)) is not None:
            self._heard(sent, True, False)
