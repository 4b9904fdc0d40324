"""What a node's own ssh client is told: its command line options and ~/.ssh/config, the first word on a thing counts."""

import shlex
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.simnode.sandbox import Sandbox

FLAGS = frozenset("46AaCfGgKkMNnqsTtVvXxYy")
WITH_VALUE = {"p": "port", "i": "identityfile", "l": "user", "b": "bindaddress", "S": "controlpath", "F": "configfile"}
IGNORED_VALUE = frozenset("BcDEeIJLmOQRWw")
MANY = ("identityfile",)


class BadOption(Exception):
    """ssh ends with 255 and this sentence."""


class SshOptions:
    """The options for one host."""

    def __init__(self, text: str, *, host: str, sandbox: "Sandbox") -> None:
        self.sandbox = sandbox
        self.host = host
        self._said: dict[str, list[str]] = {}
        self._take_words(shlex.split(text))
        self._take_file(self.file(self.one("configfile", "~/.ssh/config")))

    def _take_words(self, words: list[str]) -> None:
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if not word.startswith("-") or len(word) < 2:
                raise BadOption(f"ssh: unexpected word {word!r} among the options")
            letter, value = word[1], word[2:]
            if letter in FLAGS:
                rest[:0] = [f"-{value}"] if value else []
                continue
            if letter != "o" and letter not in WITH_VALUE and letter not in IGNORED_VALUE:
                raise BadOption(f"unknown option -- {letter}")
            if not value:
                if not rest:
                    raise BadOption(f"option requires an argument -- {letter}")
                value = rest.pop(0)
            if letter == "o":
                self._take_line(value)
            elif letter in WITH_VALUE:
                self._take(WITH_VALUE[letter], value)

    def _take_file(self, path: Path) -> None:
        """A configuration file; of `Match` only `Match all` is known."""
        if not path.is_file():
            return
        applies = True
        for line in path.read_text().splitlines():
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            key, value = parted(line)
            if key == "host":
                applies = matches(self.host, value.split())
            elif key == "match":
                applies = value == "all"
            elif applies:
                self._take(key, value)

    def _take_line(self, line: str) -> None:
        key, value = parted(line)
        if not value:
            raise BadOption(f"command-line line 0: Missing argument for option {key!r}")
        self._take(key, value)

    def _take(self, key: str, value: str) -> None:
        said = self._said.setdefault(key, [])
        if not said or key in MANY:
            said.append(value)

    def one(self, key: str, default: str) -> str:
        return self._said.get(key, [default])[0]

    def seconds(self, key: str) -> float | None:
        """A time; None where it is not limited."""
        text = self.one(key, "0").removesuffix("s")
        return float(text) if text.isdigit() and int(text) else None

    def yes(self, key: str, *, default: bool) -> bool:
        return self.one(key, "yes" if default else "no").lower() in ("yes", "true")

    def file(self, name: str) -> Path:
        """Where the node has a file: `~` is root's home there; an absolute path that the machine lacks is in the sandbox."""
        name = name.replace("%d", "~", 1) if name.startswith("%d") else name
        if name.startswith("~"):
            return self.sandbox.home / name[1:].lstrip("/")
        path = Path(name)
        return path if path.is_absolute() and path.exists() else self.sandbox.root / name.lstrip("/")

    def files(self, key: str, default: str) -> list[Path]:
        return [self.file(name) for name in self.one(key, default).split() if name.lower() != "none"]

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to connect to."""
        port = self.one("port", "22")
        if not port.isdigit():
            raise BadOption(f"Bad port '{port}'")
        return self.one("hostname", self.host).replace("%h", self.host), int(port)

    @property
    def identities(self) -> list[Path]:
        """Files of private keys to try; those given come first and alone, as ssh has it."""
        names = self._said.get("identityfile") or [f"~/.ssh/id_{kind}" for kind in ("rsa", "ecdsa", "ed25519")]
        return [self.file(name) for name in names if name.lower() != "none"]


def parted(line: str) -> tuple[str, str]:
    """`Key value`, `Key=value` or `Key = "value"`."""
    text = line.strip()
    end = next((place for place, letter in enumerate(text) if letter in " \t="), len(text))
    value = text[end:].strip().removeprefix("=").strip()
    return text[:end].lower(), value.strip('"') if value.count('"') == 2 else value


def matches(host: str, patterns: list[str]) -> bool:
    """Whether a `Host` line is about this host."""
    if any(pattern.startswith("!") and fnmatchcase(host, pattern[1:]) for pattern in patterns):
        return False
    return any(fnmatchcase(host, pattern) for pattern in patterns)
