"""vzctl create, in the recorded order of effects, so that a kill at any point leaves the recorded debris."""

import asyncio
import shutil
from pathlib import Path

from ops.simnode import lock
from ops.simnode.calls import Call, Refused
from ops.simnode.conf import Conf
from ops.simnode.options import CREATE_OPTIONS, parsed
from ops.simnode.templates import Template, find, unpack

FAILED = "Creation of container private area failed"
NO_QUOTA = "File /usr/sbin/vzquota not found"
NO_PLOOP = """\
No ploop support in the kernel, or kernel is way too old.
Make sure you have OpenVZ kernel 042stab058.7 or later running,
and kernel ploop modules loaded.
Alternatively, if you can't or don't want to use ploop, please
add --layout simfs option, or set VE_LAYOUT=simfs in /etc/vz/vz.conf"""


class Making:
    """What a create has made so far, to be taken back when it fails or is stopped."""

    def __init__(self, call: Call, ctid: int) -> None:
        self.call = call
        self.sandbox = call.node.sandbox
        self.ctid = ctid
        self.conf_is_ours = False
        self.private_is_ours = False
        self.building_is_ours = False
        self.name_link: Path | None = None
        self.template = ""

    @property
    def building(self) -> Path:
        private = self.sandbox.private(self.ctid)
        return private.with_name(f"{private.name}.tmp")

    def take_back(self) -> None:
        if self.building_is_ours:
            shutil.rmtree(self.building, ignore_errors=True)
        if self.private_is_ours and self.sandbox.private(self.ctid).exists():
            shutil.rmtree(self.sandbox.private(self.ctid), ignore_errors=True)
        if self.name_link:
            self.name_link.unlink(missing_ok=True)
        if self.conf_is_ours:
            self.sandbox.conf(self.ctid).unlink(missing_ok=True)
        self.call.node.disk.sizes.pop(self.ctid, None)


async def create(call: Call, ctid: int, words: list[str]) -> int:
    wishes = parsed(words, CREATE_OPTIONS)
    making = Making(call, ctid)
    call.cleans_up = True
    try:
        return await _create(call, ctid, wishes, making)
    except Refused as refused:
        making.take_back()
        if refused.message:
            await call.err(refused.message)
        raise Refused(refused.code, FAILED) from None
    except asyncio.CancelledError:
        if call.stopped_by is None:  # killed: the debris stays
            raise
        await _cancelled(call, making)
        return 3


async def _cancelled(call: Call, making: Making) -> None:
    """TERM or INT: vzctl takes back what it made while its helpers stumble over the missing folder."""
    building = making.sandbox.shown(making.building)
    await call.err("\nCancelling...")
    await call.out(f"Destroying container private area: {building}")
    making.take_back()
    for line in (NO_QUOTA, NO_QUOTA, "Error in waitpid(): Interrupted system call", FAILED):
        await call.err(line)
    lock.give_back(call, making.ctid)
    tarball = f"/vz/template/cache/{making.template}.tar.gz"
    for line in (
        f"chmod: cannot access '{building}': No such file or directory",
        f"tar: {building}: Cannot open: No such file or directory",
        "tar: Error is not recoverable: exiting now",
        "cat: write error: Broken pipe",
        f"vps-create ERROR: Unpack {tarball} failed",
    ):
        await call.noise(line)


async def _create(call: Call, ctid: int, wishes: dict[str, list[str]], making: Making) -> int:
    node = call.node
    conf = await _config(call, ctid, wishes, making)
    if "--name" in wishes:
        await _take_name(call, ctid, wishes["--name"][-1], making)
    private = node.sandbox.private(ctid)
    if private.exists() and any(private.iterdir()):
        raise Refused(44, f"Private area already exists in {node.sandbox.shown(private)}")
    layout = wishes.get("--layout", [conf.get("VE_LAYOUT") or ("simfs" if making.conf_is_ours else "ploop")])[-1]
    if layout != "simfs" and not (layout == "ploop" and node.flavour.openvz and node.flavour.ploop):
        raise Refused(99, NO_PLOOP)
    name = wishes.get("--ostemplate", [conf.get("OSTEMPLATE") or node.default("DEF_OSTEMPLATE")])[-1]
    if not name:
        raise Refused(29, "OS template is not specified")
    found = find(name, node.sandbox.cache_dir)
    if found is None:
        await node.latency.of("template-download")
        await call.noise(f"vztmpl-dl ERROR: template {name} not found!")
        raise Refused(91, f"Cached OS template {node.sandbox.shown(node.sandbox.cache_dir)}/{name}.tar[.gz|.bz2|.xz] not found")
    making.template = name
    if not private.exists():
        private.mkdir()
        making.private_is_ours = True
    await call.phase("private")
    await call.out(f"Creating container private area ({name})")
    await _fill(call, ctid, *found, making=making)
    await _postcreate(call, ctid, conf, wishes, found[0], layout=layout, conf_is_ours=making.conf_is_ours)
    return 0


async def _config(call: Call, ctid: int, wishes: dict[str, list[str]], making: Making) -> Conf:
    """The container's file: copied from a sample, or the one that is there, with a warning."""
    node = call.node
    path = node.sandbox.conf(ctid)
    wanted = wishes.get("--config", [""])[-1]
    if path.exists():
        if wanted:
            shown = node.sandbox.shown(path)
            raise Refused(82, f"Error: container config file {shown} already exists, can not use --config option")
        await call.out("Warning: CT config file already exists, not applying a default config sample.")
        await call.out("It might lead to incomplete CT configuration, you can use --applyconfig to fix.")
        return Conf.read(path)
    sample = node.sandbox.sample(wanted or node.default("CONFIGFILE"))
    if not sample.exists():
        raise Refused(82, f"Sample config {node.sandbox.shown(sample)} not found: No such file or directory")
    conf = Conf(path, sample.read_text())
    conf.save()
    making.conf_is_ours = True
    await call.phase("config")
    return conf


async def _take_name(call: Call, ctid: int, name: str, making: Making) -> None:
    link = call.node.sandbox.names_dir / name
    if link.is_symlink():
        owner = link.readlink().name.removesuffix(".conf")
        if owner != str(ctid):
            raise Refused(131, f"Conflict: name {name} already used by container {owner}")
        link.unlink()
    link.symlink_to(f"/etc/vz/conf/{ctid}.conf")
    making.name_link = link
    await call.out(f"Name {name} assigned")


async def _fill(call: Call, ctid: int, template: Template, tarball: Path, *, making: Making) -> None:
    """Unpack into CTID.tmp, which then takes the place of the empty private area."""
    node = call.node
    building = making.building
    if building.exists():
        await call.err(f"Warning: Temp dir {node.sandbox.shown(building)} already exists, deleting")
        shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    making.building_is_ours = True
    if node.disk.free_kib < template.kib:
        await call.phase("space", 0.03)
        shown = node.sandbox.shown(building)
        await call.noise(f"vps-create ERROR: Insufficient disk space in {shown}; available: {node.disk.free_kib}, needed: {template.kib}")
        raise Refused(46)
    unpack(tarball, building)
    node.disk.sizes[ctid] = template.kib
    await call.phase("unpack", template.unpack_s)
    private = node.sandbox.private(ctid)
    private.rmdir()
    building.rename(private)
    making.private_is_ours = True
    call.effects.append("created")
    await call.phase("renamed")


async def _postcreate(
    call: Call, ctid: int, conf: Conf, wishes: dict[str, list[str]], template: Template, *, layout: str, conf_is_ours: bool
) -> None:
    node = call.node
    await call.out("Performing postcreate actions")
    node.sandbox.mount_point(ctid).mkdir(exist_ok=True)
    await call.phase("postcreate", "postcreate")
    for line in template.noise:
        await call.noise(line)
    conf.set("VE_ROOT", "/vz/root/$VEID")
    conf.set("VE_PRIVATE", "/vz/private/$VEID")
    conf.set("VE_LAYOUT", layout)
    conf.set("OSTEMPLATE", template.name)
    if conf_is_ours:
        conf.set("ORIGIN_SAMPLE", wishes.get("--config", [node.default("CONFIGFILE")])[-1])
    conf.set("LOCAL_UID", wishes.get("--local_uid", ["0"])[-1])
    conf.set("LOCAL_GID", wishes.get("--local_gid", ["0"])[-1])
    for option, key in (("--ipadd", "IP_ADDRESS"), ("--hostname", "HOSTNAME"), ("--description", "DESCRIPTION")):
        if option in wishes:
            conf.set(key, " ".join(wishes[option]) if option == "--ipadd" else wishes[option][-1])
    for option, key in (("--name", "NAME"), ("--diskspace", "DISKSPACE"), ("--diskinodes", "DISKINODES")):
        if option in wishes:
            conf.set(key, wishes[option][-1])
    await call.phase("saving")
    conf.save()
    conf.path.with_name(f"{conf.path.name}.destroyed").unlink(missing_ok=True)
    await call.out(f"CT configuration saved to {node.sandbox.shown(conf.path)}")
    await call.out("Container private area was created")
