"""What suspend and resume have in common: their words, and the two steps that both know."""

from dataclasses import dataclass
from pathlib import Path

from ops.simnode.calls import Call, Refused

WITH_VALUE = ("--dumpfile", "--flags", "--context")
SWITCHES = ("--skip_arpdetect", "--skip-remount", "--skip-fsck")


@dataclass(frozen=True)
class Asked:
    """The words of one call."""

    step: str  # empty: all of them
    dump: Path
    own_dump: bool  # not $DUMPDIR/Dump.CTID
    probes: bool  # for its addresses, before they are taken


def asked(call: Call, ctid: int, words: list[str], steps: tuple[str, ...]) -> Asked:
    given: dict[str, str] = {}
    step, rest = "", list(words)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name in steps:
            if step:
                raise Refused(20, "Only one of the sub-actions can be used at once")
            step = name
        elif name in WITH_VALUE:
            if not equals and not rest:
                raise Refused(20, f"vzctl: option '{name}' requires an argument")
            given[name] = value if equals else rest.pop(0)
        elif name in SWITCHES:
            given[name] = ""
        else:
            raise Refused(20, f"vzctl: unrecognized option '{name}'" if name.startswith("-") else f"Invalid parameter: {name}")
    sandbox = call.node.sandbox
    dump = sandbox.root / given["--dumpfile"].lstrip("/") if "--dumpfile" in given else sandbox.dump(ctid)
    if "--dumpfile" in given and given["--dumpfile"].startswith(str(sandbox.root)):
        dump = Path(given["--dumpfile"])
    return Asked(step, dump, "--dumpfile" in given, "--skip_arpdetect" not in given)


async def thaw(call: Call, ctid: int) -> int:
    node = call.node
    await call.out("\tresume..." if node.flavour.openvz else "Resuming...")
    await call.phase("resume", "resume")
    for address in node.state(ctid).addresses:  # gone since --dump
        await node.answers.open(ctid, address, after_s=0.0)
    node.start_is_whole(ctid)
    node.freeze(ctid, frozen=False)
    call.effects.append("resumed")
    return 0


async def kill(call: Call, ctid: int) -> int:
    await call.out("\tkill..." if call.node.flavour.openvz else "Killing...")
    await call.phase("kill")
    await call.node.take_down(ctid)
    call.effects.append("killed")
    return 0
