"""The steps of a move and what takes each one back, last first."""

import shlex
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ops.simnode.calls import Call, Refused
from ops.simnode.vzmigrate_ends import Ends

if TYPE_CHECKING:
    from ops.simnode.conf import Conf
    from ops.simnode.ssh_client import Peer
    from ops.simnode.vzmigrate_options import Options

R = '"$VZQ_NODE_ROOT"'
DUMPS = "/vz/dump"


class Move(Ends):
    """One container on its way."""

    def __init__(self, call: Call, ctid: int, options: "Options", peer: "Peer", *, control: str) -> None:
        super().__init__(call, options, peer, control=control)
        self.ctid = ctid
        self._undo: list[Callable[[], Awaitable[object]]] = []
        self._times: list[tuple[str, float]] = []
        self._frozen_at = 0.0

    async def prepare(self, conf: "Conf") -> None:
        """Configuration, name, scripts, dump and folders on the destination."""
        ctid, node = self.ctid, self.call.node
        await self.say("Preparing remote node")
        await self.note("Copying config file")
        await self.call.phase("config")
        self._undo.append(self._forget_there)
        file = f"{R}/etc/vz/conf/{ctid}.conf"
        if (await self.there(f"cat > {file}", given=conf.path.read_bytes())).code:
            raise Refused(6, "Failed to copy config file")
        places = "--private '/vz/private/$VEID' --root '/vz/root/$VEID'"
        if (await self.there(f"vzctl --skiplock set {ctid} {places} --save", shown=self.options.verbose)).code:
            raise Refused(15, "Failed to set private and root")
        name = conf.get("NAME")
        await self.call.phase("name")
        if name and (await self.there(f"vzctl --skiplock set {ctid} --name {shlex.quote(name)} --save", shown=self.options.verbose)).code:
            raise Refused(15, "Failed to set CT name")
        await self._copy_scripts()
        if node.sandbox.dump(ctid).exists() and not node.state(ctid).running:
            await self.note("Copying dump file")
            await self.call.phase("copy-dump")
            self._undo.append(lambda: self.there(f"rm -f {R}{DUMPS}/Dump.{ctid}"))
            if await self.rsync(f"{DUMPS}/Dump.{ctid}"):
                raise Refused(6, "Failed to copy dump file")
        await self._make_folders()

    async def _forget_there(self) -> None:
        ctid = self.ctid
        script = f'for f in {R}/etc/vz/names/*; do [ "$(readlink "$f")" != /etc/vz/conf/{ctid}.conf ] || rm -f "$f"; done'
        await self.there(script)
        scripts = " ".join(f"{R}/etc/vz/conf/{ctid}.{what}" for what in ("conf", "mount", "umount", "start", "stop"))
        await self.there(f"rm -f {scripts}")

    async def _copy_scripts(self) -> None:
        found = [path for what in ("start", "stop", "mount", "umount") if (path := self._script(what)).exists()]
        if found:
            await self.note("Copying action scripts")
        for path in found:
            file = f"{R}/etc/vz/conf/{path.name}"
            if (await self.there(f"cat > {file} && chmod 755 {file}", given=path.read_bytes())).code:
                raise Refused(6, "Failed to copy action scripts")

    def _script(self, what: str) -> Path:
        return self.call.node.sandbox.conf_dir / f"{self.ctid}.{what}"

    async def _make_folders(self) -> None:
        for what, note, failed in (
            ("root", "Creating remote container root dir", "Failed to make container root directory"),
            ("private", "Creating remote container private dir", "Failed to make container private area directory"),
        ):
            await self.note(note)
            await self.call.phase(f"{what}-dir")
            folder = f"/vz/{what}/{self.ctid}"
            if what == "root":
                self._undo.append(lambda: self.there(f"rm -rf {R}/vz/root/{self.ctid}"))
            elif not self.options.has("--keep-dst"):
                self._undo.append(self._drop_private_there)
            said = await self.there(f"sim-mkdir {folder}")
            if said.err:
                await self.call.put(said.err, error=True)
            if said.code:
                raise Refused(6, failed)

    async def _drop_private_there(self) -> None:
        source = f"{self.call.node.sandbox.private(self.ctid)} root@{self.options.host}:/vz/private/{self.ctid}/"
        self.call.node.synced.pop(source, None)
        await self.there(f"rm -rf {R}/vz/private/{self.ctid}")

    async def sync_first(self) -> None:
        await self.say("Syncing private")
        await self.call.phase("first-rsync")
        if await self.rsync(f"/vz/private/{self.ctid}/", "--sparse"):
            raise Refused(6, "Failed to sync container private areas")

    async def _sync_again(self) -> None:
        await self.note("Syncing private (2nd pass)")
        await self.call.phase("second-rsync")
        if await self.rsync(f"/vz/private/{self.ctid}/"):
            raise Refused(6, "Failed to sync container private areas")

    async def stopped(self) -> None:
        """Offline: down here, up there."""
        await self.say("Stopping container")
        await self.call.phase("stop")
        self._undo.append(lambda: self.vzctl("start", str(self.ctid), shown="all"))
        if await self.vzctl("stop", str(self.ctid)):
            raise Refused(8, "Failed to stop container")
        await self._sync_again()
        await self.say("Starting container")
        await self.call.phase("start")
        if (await self.there(f"vzctl --skiplock start {self.ctid}", shown=self.options.verbose)).code:
            raise Refused(7, "Failed to start container")
        self._undo.clear()

    async def mounted(self) -> None:
        await self.say("Unmounting container")
        await self.call.phase("umount")
        if await self.vzctl("umount", str(self.ctid)):
            raise Refused(8, "Failed to umount container")
        self._undo.append(lambda: self.vzctl("mount", str(self.ctid)))
        await self._sync_again()
        await self.say("Mounting container")
        await self.call.phase("mount")
        if (await self.there(f"vzctl --skiplock mount {self.ctid}", shown=self.options.verbose)).code:
            raise Refused(7, "Failed to mount container")
        self._undo.clear()

    async def live(self) -> None:
        """Frozen here, thawed there."""
        ctid, dump = str(self.ctid), f"{DUMPS}/tmp-dump.{self.ctid}"
        await self.say("Live migrating container...")
        await self.note("Suspending container")
        self._frozen_at = began = time.monotonic()
        await self.call.phase("suspend")
        self._undo.append(self._resume_here)
        if await self.vzctl("chkpnt", ctid, "--suspend"):
            raise Refused(8, "Failed to suspend container")
        await self.note("Dumping container")
        await self.call.phase("dump")
        if await self.vzctl("chkpnt", ctid, "--dump", "--dumpfile", dump):
            raise Refused(8, "Failed to dump container")
        began = self._timed("Suspend + Dump", began)
        await self.note("Copying dumpfile")
        await self.call.phase("copy-dump")
        self._undo.append(lambda: self.there(f"rm -f {R}{dump}"))
        if await self.rsync(dump):
            raise Refused(6, "Failed to copy dump")
        began = self._timed("Copy dump file", began)
        await self._sync_again()
        began = self._timed("Second rsync", began)
        self._times.append(("2nd level quota", 0.0))
        await self._restore_there(dump, began)

    async def _restore_there(self, dump: str, began: float) -> None:
        ctid = self.ctid
        await self.note("Undumping container")
        await self.call.phase("undump")
        self._undo[-1] = lambda: self.there(f"vzctl --skiplock restore {ctid} --kill; test ! -e {R}{dump} || rm -f {R}{dump}")
        said = await self.there(f"vzctl --skiplock restore {ctid} --undump --dumpfile {dump} --skip_arpdetect", shown=self.options.verbose)
        if said.code:
            raise Refused(7, "Failed to undump container")
        await self.note("Resuming container")
        await self.call.phase("resume")
        if (await self.there(f"vzctl --skiplock restore {ctid} --resume", shown=self.options.verbose)).code:
            raise Refused(7, "Failed to resume container")
        self._timed("Undump + Resume", began)
        self._undo.clear()
        if self.options.times:
            await self._print_times(time.monotonic() - self._frozen_at)

    def _timed(self, label: str, began: float) -> float:
        now = time.monotonic()
        self._times.append((label, now - began))
        return now

    async def _print_times(self, total: float) -> None:
        rows = [f"  {label:>20}: {seconds:6.2f}" for label, seconds in self._times]
        for line in ("", *rows, f"{'------':>30}", f"  {'Total suspended time':>20}: {total:6.2f}", ""):
            await self.say(line)

    async def _resume_here(self) -> None:
        dump = f"{DUMPS}/tmp-dump.{self.ctid}"
        if not await self.vzctl("chkpnt", str(self.ctid), "--resume", "--dumpfile", dump):
            (self.call.node.sandbox.root / dump.lstrip("/")).unlink(missing_ok=True)

    async def clean_up(self) -> None:
        """What is left here of a container that is there now; failures no longer count."""
        ctid, node = self.ctid, self.call.node
        dump = f"{DUMPS}/tmp-dump.{ctid}"
        await self.say("Cleaning up")
        await self.call.phase("clean-up")
        if self.options.live:
            await self.note("Killing container")
            await self.call.phase("kill")
            await self.vzctl("chkpnt", str(ctid), "--kill")
            await self.vzctl("umount", str(ctid))
            await self.note("Removing dumpfiles")
            await self.call.phase("remove-dumps")
            (node.sandbox.root / dump.lstrip("/")).unlink(missing_ok=True)
            await self.there(f"rm -f {R}{dump}")
        if self.options.removes:
            await self.note("Destroying container")
            await self.call.phase("destroy")
            await self.vzctl("destroy", str(ctid))
        else:
            await self.call.phase("keep")
            conf = node.sandbox.conf(ctid)
            conf.replace(f"{conf}.migrated")

    async def undo(self) -> None:
        """Take back what was done, last first; the other node comes first even while this one holds a frozen container."""
        while self._undo:
            await self.call.phase("undo")
            await self._undo.pop()()
