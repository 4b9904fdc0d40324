"""vzctl set: what a running container takes at once, and what goes into CTID.conf."""

from ops.simnode import inside
from ops.simnode.calls import Call, Refused
from ops.simnode.conf import Conf
from ops.simnode.options import SAVE_ORDER, SET_OPTIONS, parsed
from ops.simnode.vzctl_run import AWK, bring_up, kill_and_unmount, restart

NOT_SAVING = "Error: failed to apply some parameters, not saving configuration file!"
NOT_SAVED = "WARNING: Settings were not saved to config and will be lost after CT restart (use --save flag)"
NEEDS_RESTART = "WARNING: Some of the parameters could not be applied to a running container.\n\tPlease consider using --setmode option"
Wishes = dict[str, list[str]]


async def set_(call: Call, ctid: int, words: list[str]) -> int:
    """Name first, then the running container, then the file; a failed step saves nothing but keeps what was done."""
    wishes = parsed(words, SET_OPTIONS)
    save = "--save" in wishes
    conf = await _conf(call, ctid)
    _check(wishes, conf, save=save)
    if "--name" in wishes:
        await _rename(call, ctid, wishes["--name"][-1], conf)
    if "--applyconfig" in wishes:
        _apply_sample(call, wishes["--applyconfig"][-1], conf)
    await call.phase("apply", "apply")
    late = call.node.state(ctid).running and any(SET_OPTIONS[name].restart for name in wishes)
    try:
        await _bring_in(call, ctid, wishes, conf, save=save)
    except Refused as refused:
        if refused.message:
            await call.err(refused.message)
        raise Refused(refused.code, NOT_SAVING if save else "") from None
    if late:
        await _say_what_must_wait(call, wishes)
    await _save(call, wishes, conf, save=save)
    if late and wishes.get("--setmode") == ["restart"]:
        return await restart(call, ctid, [])
    return 0


async def _bring_in(call: Call, ctid: int, wishes: Wishes, conf: Conf, *, save: bool) -> None:
    """Change the container itself, as far as it can be changed now."""
    if call.node.state(ctid).running:
        await _apply(call, ctid, wishes)
    elif "--userpasswd" in wishes:
        await _password_of_a_stopped_one(call, ctid, wishes, conf)
    elif not save:
        raise Refused(31, "Unable to apply UBC parameters: container is not running")


async def _say_what_must_wait(call: Call, wishes: Wishes) -> None:
    """Some options need a restart: refused with --setmode ignore, warned of without --setmode."""
    if wishes.get("--setmode") == ["ignore"]:
        raise Refused(32, NEEDS_RESTART)
    if "--setmode" not in wishes:
        await call.err(NEEDS_RESTART)


async def _conf(call: Call, ctid: int) -> Conf:
    path = call.node.sandbox.conf(ctid)
    if path.exists():
        return Conf.read(path)
    await call.err(f"WARNING: {call.node.sandbox.shown(path)} not found: No such file or directory")
    return Conf(path)


def _check(wishes: Wishes, conf: Conf, *, save: bool) -> None:
    for option in ("--name", "--ostemplate", "--stop-timeout"):
        if option in wishes and not save:
            raise Refused(131 if option == "--name" else 20, f"Error: {option} can only be used with --save")
    if "--swap" in wishes and "--ram" not in wishes and conf.get("PHYSPAGES") is None:
        raise Refused(28, "Error: --swap requires --ram to be set")
    if "--nodemask" in wishes and "--cpumask" not in wishes and conf.get("CPUMASK") is None:
        raise Refused(20, "Error: --nodemask requires --cpumask")


async def _rename(call: Call, ctid: int, name: str, conf: Conf) -> None:
    """The link changes at once, whatever becomes of the rest (set-name-utf8.txt shows what stays behind)."""
    names = call.node.sandbox.names_dir
    link = names / name
    if name and link.is_symlink() and link.readlink().name != f"{ctid}.conf":
        raise Refused(131, f"Conflict: name {name} already used by container {link.readlink().name.removesuffix('.conf')}")
    if name and link.is_symlink() and conf.get("NAME") == name:
        return
    old = conf.get("NAME")
    if old:
        (names / old).unlink(missing_ok=True)
    if name:
        link.unlink(missing_ok=True)
        link.symlink_to(f"/etc/vz/conf/{ctid}.conf")
        await call.out(f"Name {name} assigned")


def _apply_sample(call: Call, name: str, conf: Conf) -> None:
    sample = call.node.sandbox.sample(name)
    if not sample.exists():
        raise Refused(109, f"Sample config {call.node.sandbox.shown(sample)} not found: No such file or directory")
    fresh = Conf.read(sample)
    for key in fresh.keys():  # noqa: SIM118  a Conf is no dict
        conf.set(key, fresh.get(key) or "")
    conf.set("ORIGIN_SAMPLE", name)


async def _apply(call: Call, ctid: int, wishes: Wishes) -> None:
    """Bring what can be changed live into the running container."""
    node = call.node
    await call.out("UB limits were set successfully")
    if "all" in wishes.get("--ipdel", ()):
        if not node.flavour.vswap:
            raise Refused(100, "Unable to open /proc/vz/veinfo: No such file or directory")
        gone = list(node.state(ctid).addresses)
    else:
        gone = [a for a in wishes.get("--ipdel", ()) if a in node.state(ctid).addresses]
    new = list(dict.fromkeys(wishes.get("--ipadd", ())))
    gone += [address for address in new if address in node.state(ctid).addresses and address not in gone]
    await _remove(call, ctid, gone, comes_back=bool(new))
    await _add(call, ctid, new)
    if "--hostname" in wishes:
        node.set_hostname(ctid, wishes["--hostname"][-1])
    _set_passwords(call, ctid, wishes)


async def _remove(call: Call, ctid: int, gone: list[str], *, comes_back: bool) -> None:
    if not gone:
        return
    await call.out(f"Deleting IP address(es): {' '.join(gone)}")
    for address in gone:
        await call.node.remove_address(ctid, address)
    if comes_back and not call.node.state(ctid).addresses:
        await call.noise('Cannot find device "venet0"')
    await call.noise(AWK)


async def _add(call: Call, ctid: int, new: list[str]) -> None:
    if not new:
        return
    taken = call.node.addresses_up() & set(new)
    if taken:
        raise Refused(78, f"Unable to add IP {min(taken)}: Address already in use")
    await call.out(f"Adding IP address(es): {' '.join(new)}")
    await call.noise(AWK)
    await call.phase("probe", "addresses")
    for address in new:
        await call.node.probe(call, address)
        await call.node.add_address(ctid, address)


def _set_passwords(call: Call, ctid: int, wishes: Wishes) -> None:
    for wish in wishes.get("--userpasswd", ()):
        user, _, password = wish.partition(":")
        if not inside.set_password(call.node.sandbox.private(ctid), user, password):
            raise Refused(74, f"Unable to set the password of {user}: no such user")


async def _password_of_a_stopped_one(call: Call, ctid: int, wishes: Wishes, conf: Conf) -> None:
    """As vzctl does it: starts it without its addresses, changes the password and kills it."""
    if not call.node.sandbox.private(ctid).exists():
        raise Refused(43, f"Container private area {call.node.sandbox.shown(call.node.sandbox.private(ctid))} does not exist")
    code = await bring_up(call, ctid, conf, scripts=False)
    if code:
        raise Refused(code)
    _set_passwords(call, ctid, wishes)
    await kill_and_unmount(call, ctid, fast=True)


async def _save(call: Call, wishes: Wishes, conf: Conf, *, save: bool) -> None:
    if not save:
        if wishes.keys() != {"--userpasswd"}:
            await call.out(NOT_SAVED)
        return
    changed = {
        option.key: " ".join(wishes[name]) if option.many else wishes[name][-1]
        for name, option in SET_OPTIONS.items()
        if option.key and name in wishes
    }
    if "--ipadd" in wishes or "--ipdel" in wishes:
        changed["IP_ADDRESS"] = " ".join(_addresses(conf, wishes))
    for key in sorted(changed, key=SAVE_ORDER.index):
        conf.set(key, changed[key])
    await call.phase("saving")
    conf.save()
    call.effects.append("set")
    await call.out(f"CT configuration saved to {call.node.sandbox.shown(conf.path)}")


def _addresses(conf: Conf, wishes: Wishes) -> list[str]:
    gone, new = wishes.get("--ipdel", []), wishes.get("--ipadd", [])
    kept = [] if "all" in gone else [a for a in (conf.get("IP_ADDRESS") or "").split() if a not in gone and a not in new]
    return [*kept, *dict.fromkeys(new)]
