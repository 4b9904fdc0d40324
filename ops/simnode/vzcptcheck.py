"""`vzcptcheck`: whether the images and the processor of another OpenVZ node suit this one."""

from ops.simnode.calls import Call, Refused

USAGE = "Usage: vzcptcheck version [<version>]\n       vzcptcheck caps [<ctid> <caps>]"


async def vzcptcheck(call: Call) -> int:
    """`version`, `caps`: the node's own numbers; with another's: 0 if it suits."""
    flavour = call.node.flavour
    if not (flavour.openvz and flavour.checkpointing):
        raise Refused(1, "Can't open /proc/cpt: No such file or directory")
    match call.words:
        case ["version"]:
            await call.print(f"{flavour.cpt_version}\n")
            return 0
        case ["version", number] if number.isdigit():
            return 0 if int(number) <= flavour.cpt_version else 1
        case ["caps"]:
            await call.print(f"{flavour.cpu_caps}\n")
            return 0
        case ["caps", ctid, caps] if ctid.isdigit() and caps.isdigit():
            return 1 if flavour.cpu_caps & ~int(caps) else 0
        case _:
            raise Refused(1, USAGE)
