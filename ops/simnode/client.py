"""The thin client behind the node's `vzctl`, `vzlist`, `df` and a container's `halt`: asks the simulator, prints, exits.

This file is copied into the node's folders with its first line and SOCKET filled in, and started thousands of times:
it imports only what is built into the interpreter. Its process id is what the lock files name, so killing it kills the command.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import posix
import sys

SOCKET = b"@SOCKET@"  # abstract socket name of the node, filled in by tools.py
READS_STDIN = (b"chpasswd",)  # tools whose whole input travels with the question
SHELL_SCRIPTS = (b"vzmigrate",)  # tools that die of any signal where they are, also of a reader that is gone
RELAYED = (b"exec", b"exec2", b"exec3", b"runscript")  # commands that vzctl puts pipes of its own around


def own_words() -> list[bytes]:
    """The arguments as raw bytes, whatever the locale, the tool's own path first."""
    fd = posix.open("/proc/self/cmdline", posix.O_RDONLY)
    raw = b""
    while piece := posix.read(fd, 1 << 20):
        raw += piece
    posix.close(fd)
    return raw.split(b"\0")[len(sys.orig_argv) - len(sys.argv) : -1]


def command(words: list[bytes]) -> bytes:
    """Of vzctl: exec, set, …; empty for any other tool."""
    if words[0].rsplit(b"/", 1)[-1] != b"vzctl":
        return b""
    return next((word for word in words[1:] if not word.startswith(b"-")), b"")


def put(fd: int, text: bytes) -> bool:
    """Write all of `text`; False where the reader is gone, which is no reason to stop (vzctl goes on too, a script dies by SIGPIPE)."""
    try:
        while text:
            text = text[posix.write(fd, text) :]
    except OSError:
        return False
    return True


def die(number: int) -> None:
    _signal.signal(number, _signal.SIG_DFL) if number != 9 else None
    posix.kill(posix.getpid(), number)


def run(words: list[bytes]) -> int:
    """Run a child as a shell script runs it, first word: which of its output the caller sees; its exit code as `$?` has it."""
    shown, *argv = words
    hidden = {b"all": (), b"errors": (1,), b"nothing": (1, 2)}[shown]
    actions = [(posix.POSIX_SPAWN_OPEN, fd, b"/dev/null", posix.O_RDWR, 0) for fd in (0, *hidden)]
    pid = posix.posix_spawn(argv[0], argv, posix.environ, file_actions=actions)
    code = posix.waitstatus_to_exitcode(posix.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


def open_standard_files() -> None:
    for fd in (0, 1, 2):
        try:
            posix.fstat(fd)
        except OSError:
            posix.open("/dev/null", posix.O_RDWR)  # takes the lowest free number


def ask(words: list[bytes], out: int = 1, err: int = 2) -> "_socket.socket":
    link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0)
    try:
        link.connect(b"\0" + SOCKET)
    except OSError:
        put(2, words[0].rsplit(b"/", 1)[-1] + b": this simulated node is switched off (start `python -m ops.simnode`)\n")
        posix._exit(255)  # noqa: SLF001  the quick way out: nothing is open that needs closing
    try:
        folder = posix.getcwdb()
    except OSError:
        folder = b"/"
    extra = b""
    if words[0].rsplit(b"/", 1)[-1] in READS_STDIN:
        while piece := posix.read(0, 65536):
            extra += piece
    body = b"\0".join([folder, extra.replace(b"\0", b""), *words])
    message = len(body).to_bytes(4, "little") + body
    files = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, out, err))
    sent = link.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
    if message[sent:]:  # sending nothing would be an error where the answer came and the link closed already
        link.sendall(message[sent:])
    return link


def relayed(words: list[bytes]) -> "tuple[_socket.socket, dict[int, int]]":
    """Ask for a command inside, whose output comes by pipes of ours: each one's end that we read, and where that goes."""
    pairs = [posix.pipe(), posix.pipe()]
    link = ask(words, *(end for _, end in pairs))
    for reads, end in pairs:
        posix.close(end)
        posix.set_blocking(reads, False)
    return link, {reads: place for place, (reads, _) in enumerate(pairs, 1)}


def pass_on(pipes: dict[int, int], fd: int) -> bool:
    """What is in the pipe now; False once there is nothing. Where our reader is gone ours is closed too: a write inside fails then."""
    try:
        text = posix.read(fd, 65536)
    except BlockingIOError:
        return False
    if text and put(pipes[fd], text):
        return True
    posix.close(fd)
    del pipes[fd]
    return False


def answer(link: "_socket.socket", pipes: dict[int, int]) -> None:
    """Print what the simulator says until it says how to end; without a word of it, die as the command did.

    What was begun inside and still holds the pipes is not waited for, as vzctl does not (src/lib/exec.c).
    """
    left = b""
    while True:
        wait(link, pipes)
        piece = link.recv(65536)
        if not piece:
            die(9)
        left += piece
        while len(left) >= 5 and len(left) >= 5 + (size := int.from_bytes(left[1:5], "little")):
            kind, text, left = left[:1], left[5 : 5 + size], left[5 + size :]
            for fd in list(pipes):
                while pass_on(pipes, fd):
                    pass
            obey(link, kind, text)


def wait(link: "_socket.socket", pipes: dict[int, int]) -> None:
    """Until the simulator says something; what runs inside is printed meanwhile."""
    if pipes:
        from select import select  # noqa: PLC0415  not built in, and dear to find

    while pipes:
        ready = select([link.fileno(), *pipes], (), ())[0]
        if link.fileno() in ready:
            return
        for fd in ready:
            pass_on(pipes, fd)


def obey(link: "_socket.socket", kind: bytes, text: bytes) -> None:
    """Do one thing the simulator says."""
    if kind in b"oOeE":
        put(1 if kind in b"oO" else 2, text)
        if kind in b"OE":  # the simulator waits until it is out
            link.sendall(b"A")
    elif kind == b"r":
        link.sendall(b"R" + bytes([run(text.split(b"\0"))]))
    elif kind == b"c":
        posix._exit(int(text))  # noqa: SLF001
    elif kind == b"s":
        die(int(text))
    elif kind == b"x":  # not for the simulator: run the real tool of that name
        posix.execv(text.split(b"\0")[0], text.split(b"\0"))


def main() -> None:
    open_standard_files()
    words = own_words()
    if words[0].rsplit(b"/", 1)[-1] in SHELL_SCRIPTS:
        for number in (2, 13):
            _signal.signal(number, _signal.SIG_DFL)
        answer(ask(words), {})
    link, pipes = relayed(words) if command(words) in RELAYED else (ask(words), {})
    for number, letter in ((15, b"T"), (2, b"I")):
        _signal.signal(number, lambda *_, letter=letter: link.sendall(letter))
    answer(link, pipes)


if __name__ == "__main__":
    main()
