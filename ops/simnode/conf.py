"""A container's configuration file: read and written as vzctl 4.11 does, faults included.

Values stand between double quotes without any escaping, unknown keys stay, lines without `=` are skipped with a warning.
"""

from pathlib import Path


class Conf:
    """One KEY="value" file; the last line with a key counts, a change is made where the key stands."""

    def __init__(self, path: Path, text: str = "") -> None:
        self.path = path
        self.lines = text.splitlines()

    @classmethod
    def read(cls, path: Path) -> "Conf":
        """The file as it is; raises FileNotFoundError."""
        return cls(path, path.read_text(errors="surrogateescape"))

    @property
    def broken_lines(self) -> list[int]:
        """Numbers of the lines vzctl warns of."""
        return [number for number, line in enumerate(self.lines, 1) if line.strip() and not line.lstrip().startswith("#") and "=" not in line]

    def _places(self, key: str) -> list[int]:
        return [place for place, line in enumerate(self.lines) if line.lstrip().partition("=")[0].strip() == key]

    def get(self, key: str) -> str | None:
        """The value without quotes and backslashes, or None."""
        places = self._places(key)
        if not places:
            return None
        value = self.lines[places[-1]].partition("=")[2].strip()
        if value.startswith('"'):
            value = value[1:].removesuffix('"')
        return unescaped(value)

    def keys(self) -> list[str]:
        return [line.partition("=")[0].strip() for line in self.lines if "=" in line and not line.lstrip().startswith("#")]

    def set(self, key: str, value: str) -> None:
        line, places = f'{key}="{value}"', self._places(key)
        if places:
            self.lines[places[-1]] = line
        else:
            self.lines.append(line)

    def drop(self, key: str) -> None:
        for place in reversed(self._places(key)):
            del self.lines[place]

    def save(self) -> None:
        """Replace the file in one step; a kill before the rename leaves `.tmp` beside the old file."""
        fresh = Path(f"{self.path}.tmp")
        fresh.write_text("".join(f"{line}\n" for line in self.lines), errors="surrogateescape")
        fresh.replace(self.path)


def unescaped(value: str) -> str:
    """The text without its backslashes, as vzctl's reader leaves it."""
    out, escaped = [], False
    for letter in value:
        if letter == "\\" and not escaped:
            escaped = True
            continue
        out.append(letter)
        escaped = False
    return "".join(out)
