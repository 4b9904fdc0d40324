"""Puts our programs on a node and keeps them up to date. Safe to repeat, safe while steps run there.

A running vzq-run keeps the file it was started from; its keeper is passed as text. So an upgrade only has to read the
folders that older versions wrote: change their format by adding to it, and raise the version when a reader must know.
"""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from models.errors import NodeFault, Unexpected
from workers.transport.ssh import Link

HERE = Path(__file__).parent
NAMES = ("vzq-run", "vzq-ct", "vzq-exec", "vzq-mv")
QUICK = timedelta(seconds=30)

SUMS = 'cd "${VZQ_NODE_ROOT-}/var/lib/vzq/bin" 2>/dev/null || exit 0; for name; do [ ! -x "$name" ] || sha1sum "$name" || exit; done'
# The number of bytes is checked before the new file takes its name: a link that died half-way must not leave half a program.
PUT = """
umask 077
bin=${VZQ_NODE_ROOT-}/var/lib/vzq/bin
new=$bin/.$1.new.$$
mkdir -p "$bin" && chmod 700 "${VZQ_NODE_ROOT-}/var/lib/vzq" && cat >"$new" || exit
if [ $(($(wc -c <"$new"))) -ne "$2" ]; then rm -f "$new"; echo "the upload was cut" >&2; exit 75; fi
chmod 755 "$new" && mv -f "$new" "$bin/$1" || exit
find "$bin" -name '.*.new.*' -mtime +0 -exec rm -f {} \\; 2>/dev/null || :  # another one's may vanish meanwhile
"""


def programs() -> dict[str, bytes]:
    """Our programs as they are in this release, by name."""
    return {name: (HERE / name).read_bytes() for name in NAMES if (HERE / name).is_file()}


def release() -> str:
    """Names these programs as a whole: the same for the same texts, whatever the rest of vzq is."""
    return hashlib.sha1(b"".join(text for _, text in sorted(programs().items())), usedforsecurity=False).hexdigest()[:12]


async def install(link: Link, files: Mapping[str, bytes] | None = None) -> list[str]:
    """Bring our programs on the node to this release; the names of those that were replaced.

    Raises NodeFault when they cannot be written there. Two workers at once do the same thing twice, harmlessly.
    """
    files = programs() if files is None else files
    there = await _sums(link, list(files))
    stale = [name for name, text in files.items() if there.get(name) != hashlib.sha1(text, usedforsecurity=False).hexdigest()]
    for name in stale:
        text = files[name]
        answer = await link.run(["sh", "-c", PUT, "vzq-put", name, str(len(text))], stdin=text, timeout=QUICK)
        if answer.code:
            raise NodeFault(
                f"{name} could not be installed on {link.node} (exit {answer.code}: {answer.err.strip()[:200]});"
                " make room in /var/lib/vzq there and see that it can be written to",
                finding="install",
            )
    return stale


async def _sums(link: Link, names: list[str]) -> dict[str, str]:
    answer = await link.run(["sh", "-c", SUMS, "vzq-sums", *names], timeout=QUICK)
    if answer.code:
        raise Unexpected(
            f"{link.node} cannot tell which programs of ours it has (exit {answer.code}: {answer.err.strip()[:200]}); is sha1sum there?",
            signature=f"install sha1sum {answer.code}",
        )
    sums = (line.split() for line in answer.out.splitlines())
    return {words[-1].lstrip("*"): words[0] for words in sums if len(words) == 2}
