"""What is worth showing of a command's output: noise left out, secrets never."""

import re
from ipaddress import ip_address

from workers.commands import Command, Finished

# Printed by commands that did what they should (facts §11, transcripts).
NOISE = tuple(
    re.compile(pattern)
    for pattern in (
        r"awk: cmd\. line.*",
        r"(cmd\. line:\d+: )?warning: regexp escape sequence.*",
        r"WARNING: Running container unprivileged.*",
        r"stat\(.*\)(: No such file or directory)?",
        r": No such file or directory",
        r"File /usr/sbin/vzquota not found",
        r"Directory /proc/vz not found.*",
        r"Removing stale lock file .*",
        r"Warning: can't parse .*, skipping",
        r"Warning: CT config file already exists.*",
        r"It might lead to incomplete CT configuration.*",
        r"Warning: failed to remove .*",
        r".*: setfattr: not found",
        r"Starting container\.\.\.|Container is (un)?mounted|Killing container \.\.\.|Container was stopped",
        r"Stopping container \.\.\.|Creating container private area.*|Destroying container private area.*",
        r"UB limits were set successfully|Performing postcreate actions|Adding IP address.*|Deleting IP address.*",
        r"Cancelling\.\.\.",
    )
)
# True, but they only say that it failed: shown if there is nothing better.
GENERAL = tuple(
    re.compile(pattern)
    for pattern in (
        r"Creation of container private area failed",
        r"Container start failed",
        r"Container already locked",
        r"Error: failed to apply some parameters.*",
        r"Make sure you have OpenVZ kernel.*",
        r"and kernel ploop modules loaded\.",
        r"Alternatively, if you can't or don't want.*",
        r"add --layout simfs option.*",
    )
)
LONGEST = 240  # one line in a table or a page


def last_line(command: Command, answer: Finished) -> str:
    """The last line that tells something, from stderr or else stdout; "" if there is none or it holds the secret."""
    for text in (answer.err, answer.out):
        lines = [line for line in map(_clean, text.split("\n")) if line and not _any(NOISE, line)]
        telling = [line for line in lines if not _any(GENERAL, line)]
        if lines:
            line = (telling or lines)[-1]
            return "" if _secret(command, line) else line
    return ""


DETECTED = re.compile(r"(?:arpsend: )?(\S+) is detected on another computer ?: .*")  # arpsend, run by vzctl's vps-functions


def addresses_in(answer: Finished) -> tuple[str, ...]:
    """Every address that stands in what a command complained of, in one spelling; not those that it only tells to be at work on."""
    lines = [line for line in map(_clean, (answer.err + "\n" + answer.out).split("\n")) if not _any(NOISE, line)]
    words = [word for line in lines for word in re.findall(r"[0-9A-Fa-f:.]+", line)]
    return tuple(dict.fromkeys(plain for word in words if (plain := _address(word.rstrip(".:"))) is not None))


def detected_elsewhere(answer: Finished) -> tuple[str, ...]:
    """Addresses for which another machine in the node's network answers, as the duplicate check said."""
    found = (DETECTED.fullmatch(line.strip()) for line in (answer.err + "\n" + answer.out).split("\n"))
    return tuple(dict.fromkeys(plain for one in found if one is not None and (plain := _address(one[1])) is not None))


def _address(word: str) -> str | None:
    try:
        return str(ip_address(word)) if "." in word or ":" in word else None
    except ValueError:
        return None


def signature_of(command: Command, answer: Finished) -> str:
    """Equal for equal failures: command, code and text without numbers, paths, ids and quoted words."""
    text = last_line(command, answer)
    text = re.sub(r"""'[^']*'|"[^"]*"|`[^']*'""", "<word>", text)
    text = re.sub(r"(?<![\w<])/\S+", "<path>", text)
    text = re.sub(r"\b(?=[0-9A-Za-z-]*\d)[0-9A-Za-z]+(?:[-.:][0-9A-Za-z]+)*\b", "<id>", text)
    return f"{command.name} {answer.code} {text}".strip()[:160]


def _clean(line: str) -> str:
    line = "".join(char if char.isprintable() else " " for char in line).strip()
    return line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."


def _any(patterns: tuple[re.Pattern[str], ...], line: str) -> bool:
    return any(pattern.fullmatch(line) for pattern in patterns)


def _secret(command: Command, line: str) -> bool:
    """Whether a line repeats a word of the command's input, or the part behind a colon (user:password)."""
    words = command.stdin.decode("utf-8", "replace").split()
    parts = {part for word in words for part in (word, word.partition(":")[2]) if len(part) >= 8}
    return any(part in line for part in parts)
