"""How vzmigrate speaks: to its caller, to this node and to the other one."""

import shlex
from typing import TYPE_CHECKING

from ops.simnode.calls import Call
from ops.simnode.ssh_client import Said

if TYPE_CHECKING:
    from ops.simnode.ssh_client import Peer
    from ops.simnode.vzmigrate_options import Options

VANISHED = 24  # rsync: files went while it read


class Ends:
    """Both ends of one move."""

    def __init__(self, call: Call, options: "Options", peer: "Peer", *, control: str) -> None:
        self.call = call
        self.options = options
        self.peer = peer
        self.control = control  # path of the shared ssh connection, if there is one
        self.shown = "all" if options.verbose else "nothing"

    async def say(self, text: str) -> None:
        await self.call.put(f"{text}\n")

    async def note(self, text: str) -> None:
        """A line that only -v shows."""
        if self.options.verbose:
            await self.say(f"   {text}")

    async def here(self, *words: str, shown: str = "") -> int:
        """A command on this node, as a child of the script."""
        return await self.call.child(*words, shown=shown or self.shown)

    async def vzctl(self, *words: str, shown: str = "") -> int:
        return await self.here("vzctl", "--skiplock", *words, shown=shown)

    async def there(self, command: str, *, shown: bool = False, given: bytes = b"") -> Said:
        """A command on the destination."""
        said = await self.peer.run(command, given=given)
        if shown and said.out:
            await self.call.put(said.out)
        if shown and said.err:
            await self.call.put(said.err, error=True)
        return said

    async def rsync(self, source: str, *more: str) -> int:
        """A child that copies to the same place there; its complaints are always shown."""
        shell = f"ssh -o BatchMode=yes {self.options.ssh}".strip()
        if self.control:
            shell += f" -o ControlPath={self.control}"
        extra = shlex.split(self.options.given.get("--rsync", [""])[-1])
        words = ["-aHAX", "--delete", "--numeric-ids", *more, *extra, "-e", shell, source, f"root@{self.options.host}:{source}"]
        code = await self.here("rsync", *words, shown="errors")
        return 0 if code == VANISHED else code
