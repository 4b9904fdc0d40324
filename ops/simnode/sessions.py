"""One SSH session on a simulated node: a real /bin/sh, with the life and death sshd gives it."""

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import asyncssh

from ops.simnode import processes
from ops.simnode.terminal import own

if TYPE_CHECKING:
    from ops.simnode.sshd import Connection

SIGNALS = {name.removeprefix("SIG"): number for name, number in signal.Signals.__members__.items()}


class Output(asyncio.Protocol):
    """Carries what the command writes to the channel, no faster than the client takes it."""

    def __init__(self, session: "Session", datatype: int | None) -> None:
        self.session = session
        self.datatype = datatype
        self.transport: asyncio.ReadTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.ReadTransport", transport)

    def data_received(self, data: bytes) -> None:
        self.session.say(data, self.datatype)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.session.output_ended(self)


def _itself(output: Output) -> Output:
    return output


class Input(asyncio.Protocol):
    """The command's stdin; a command that stopped reading is no fault."""


class Session(asyncssh.SSHServerSession[bytes]):
    """The command outlives its channel and its connection; with a terminal it is hung up, as sshd does."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.node = connection.node
        self.channel: asyncssh.SSHServerChannel[bytes] | None = None
        self.command: str | None = None
        self._asked_for = ""  # where the key has its own command
        self.terminal: tuple[int, int, int, int] | None = None
        self.process: processes.Process | None = None
        self._open_outputs: set[Output] = set()
        self._stdin: asyncio.WriteTransport | None = None
        self._early: list[bytes] = []  # came before the command was started
        self._early_end = False
        self._master = -1
        self._code: int | None = None

    # -- asyncssh tells ------------------------------------------------------------------------------------------

    def connection_made(self, chan: "asyncssh.SSHServerChannel[bytes]") -> None:
        self.channel = chan

    def pty_requested(self, _term_type: str, term_size: tuple[int, int, int, int], _term_modes: Any) -> bool:  # noqa: ANN401  asyncssh's own type
        if self.connection.no_terminal:
            return False
        self.terminal = term_size
        return True

    def shell_requested(self) -> bool:
        self.command = self.connection.forced_command
        return True

    def exec_requested(self, command: str) -> bool:
        self.command = self.connection.forced_command or command
        self._asked_for = command
        return True

    def session_started(self) -> None:
        self.node.later(self._run())

    def data_received(self, data: bytes, _datatype: int | None) -> None:
        if self._stdin is None:
            self._early.append(data)
        elif not self._stdin.is_closing():
            self._stdin.write(data)

    def eof_received(self) -> bool:
        self._early_end = True
        if self._stdin and not self.terminal:
            self._stdin.close()
        return True  # our own output goes on

    def signal_received(self, signal: str) -> None:
        if self.process and signal in SIGNALS:
            self.process.send(SIGNALS[signal])

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        if self._master >= 0:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("4H", height, width, pixwidth, pixheight))

    def pause_writing(self) -> None:
        for output in self._open_outputs:
            if output.transport:
                output.transport.pause_reading()

    def resume_writing(self) -> None:
        for output in self._open_outputs:
            if output.transport:
                output.transport.resume_reading()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The channel is gone: our ends of the pipes close, the command lives on (a terminal hangs up)."""
        self.channel = None
        self.connection.session_ended(self)
        if self._stdin and not self._stdin.is_closing():
            self._stdin.abort()
        for output in list(self._open_outputs):
            if output.transport:
                output.transport.close()
        if self.terminal and self.process:
            self.process.send(signal.SIGHUP)

    # -- the command -----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        argv = ["/bin/sh", "-c", self.command] if self.command is not None else ["-sh"]
        try:
            await (self._start_on_terminal(argv) if self.terminal else self._start_on_pipes(argv))
        except OSError as error:
            if self.channel:
                self.channel.write_stderr(f"simulated node: cannot start a shell: {error}\n".encode())
                self.channel.exit(255)
            return
        for data in self._early:
            self.data_received(data, None)
        if self._early_end:
            self.eof_received()
        assert self.process  # noqa: S101  started above
        self._code = await self.process.ended()
        self._leave_when_done()

    @property
    def _environment(self) -> dict[str, str]:
        env = dict(self.node.environment)
        if self.channel:
            peer, own = (self.channel.get_extra_info(name) for name in ("peername", "sockname"))
            env["SSH_CLIENT"] = f"{peer[0]} {peer[1]} {own[1]}"
            env["SSH_CONNECTION"] = f"{peer[0]} {peer[1]} {own[0]} {own[1]}"
        if self.connection.forced_command and self._asked_for:
            env["SSH_ORIGINAL_COMMAND"] = self._asked_for
        return env

    async def _start_on_pipes(self, argv: list[str]) -> None:
        process = self.process = processes.start(
            argv,
            executable="/bin/sh",
            env=self._environment,
            cwd=self.node.sandbox.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        loop = asyncio.get_running_loop()
        outputs = ((process.popen.stdout, None), (process.popen.stderr, asyncssh.EXTENDED_DATA_STDERR))
        for pipe, datatype in outputs:
            output = Output(self, datatype)
            self._open_outputs.add(output)
            await loop.connect_read_pipe(partial(_itself, output), pipe)
        self._stdin, _ = await loop.connect_write_pipe(Input, process.popen.stdin)
        if self.channel is None:
            self.connection_lost(None)

    async def _start_on_terminal(self, argv: list[str]) -> None:
        self._master, slave = pty.openpty()
        width, height, pixwidth, pixheight = self.terminal or (80, 24, 0, 0)
        self.terminal_size_changed(width, height, pixwidth, pixheight)
        env = {**self._environment, "TERM": "xterm"}
        self.process = processes.start(
            argv, executable="/bin/sh", env=env, cwd=self.node.sandbox.home, stdin=slave, stdout=slave, stderr=slave, own_terminal=own
        )
        os.close(slave)
        loop = asyncio.get_running_loop()
        output = Output(self, None)
        self._open_outputs.add(output)
        await loop.connect_read_pipe(lambda: output, os.fdopen(self._master, "rb", buffering=0))
        self._stdin, _ = await loop.connect_write_pipe(Input, os.fdopen(os.dup(self._master), "wb", buffering=0))

    def say(self, data: bytes, datatype: int | None) -> None:
        if self.channel:
            with contextlib.suppress(BrokenPipeError, OSError):
                self.channel.write(data, datatype)

    def output_ended(self, output: Output) -> None:
        self._open_outputs.discard(output)
        self._leave_when_done()

    def _leave_when_done(self) -> None:
        """Tell the exit code when the shell has ended and nobody holds its output open, as sshd waits too."""
        if self._code is None or self._open_outputs or self.channel is None:
            return
        channel, code = self.channel, self._code
        if code < 0:
            channel.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))
        else:
            channel.exit(code)
