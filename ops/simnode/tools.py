"""The programs a simulated node and its containers have on PATH: thin clients of the simulator, and small sh stubs."""

import os
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ops.simnode import disk, inside, manager_apk, manager_apt, manager_rpm, managers, rsync, vzcptcheck, vzctl, vzlist, vzmigrate
from ops.simnode.package_book import SERVICES, Book
from ops.simnode.package_book import TOOLS as PACKAGE_TOOLS

if TYPE_CHECKING:
    from ops.simnode.calls import Tool
    from ops.simnode.containers import Containers
    from ops.simnode.node import Node

SENDMSG, SENDMSG_ELSEWHERE = {"x86_64": 46}, 211  # numbers of that system call; all younger architectures share one (asm-generic/unistd.h)

TOOLS: dict[str, "Tool"] = {
    "vzctl": vzctl.vzctl,
    "vzlist": vzlist.vzlist,
    "df": disk.df,
    "sim-mkdir": disk.make_folder,
    "vzmigrate": vzmigrate.vzmigrate,
    "rsync": rsync.rsync,
    "vzcptcheck": vzcptcheck.vzcptcheck,
    "halt": inside.halt,
    "poweroff": inside.halt,
    "reboot": inside.halt,
    "shutdown": inside.shutdown,
    "chpasswd": inside.chpasswd,
    "ps": inside.ps,
    "df-inside": managers.df_inside,
    "systemctl": managers.managed(managers.systemctl),
    "service": managers.managed(managers.service),
    "rc-status": managers.managed(managers.rc_status),
    "apt-get": managers.managed(manager_apt.apt_get),
    "apt-mark": managers.managed(manager_apt.apt_mark),
    "dpkg": managers.managed(manager_apt.dpkg),
    "dpkg-query": managers.managed(manager_apt.dpkg_query),
    "rpm": managers.managed(manager_rpm.rpm),
    "yum": managers.managed(manager_rpm.yum),
    "dnf": managers.managed(manager_rpm.yum),
    "yum-complete-transaction": managers.managed(manager_rpm.complete),
    "needs-restarting": managers.managed(manager_rpm.needs_restarting),
    "zypper": managers.managed(manager_rpm.zypper),
    "apk": managers.managed(manager_apk.apk),
}
# `shutdown` must be here: the next one on PATH would be the machine's own.
ON_NODE = ("vzctl", "vzlist", "df", "sim-mkdir", "vzmigrate", "rsync", "vzcptcheck", "shutdown")
MANAGED = tuple(sorted({*SERVICES.values(), *(name for names in PACKAGE_TOOLS.values() for name in names)}))
INSIDE = ("halt", "poweroff", "reboot", "shutdown", "chpasswd", "ps")
# A container has no file system of its own here, so what would change the machine outside is kept from scripts inside.
NOT_INSIDE = (
    "apt", "apt-cache", "apt-config", "aptitude", "dpkg-reconfigure", "pacman", "init", *MANAGED,  # MANAGED: where its template has them, below
    "mount", "umount", "ifconfig", "iptables", "useradd", "passwd", "sysctl", "vzctl", "vzlist",
)  # fmt: skip
STUBS = {
    "hostname": '#!/bin/sh\nread -r name < "${0%/*}/.hostname"\necho "$name"\n',
    "ip": """\
#!/bin/sh
# Every question is answered as `ip -4 a show venet0`.
read -r form < "${0%/*}/.form"
[ -s "${0%/*}/.addresses" ] || [ "$form" = busybox ] || { echo 'Device "venet0" does not exist.' >&2; exit 1; }
if [ "$form" = busybox ]; then
    echo '2: venet0@if4: <BROADCAST,MULTICAST,UP,LOWER_UP,M-DOWN> mtu 1500 qdisc noqueue qlen 1000'
else
    echo '2: venet0@if22: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000 link-netnsid 0'
fi
[ "$form" = busybox ] || broadcast=yes
echo '    inet 127.0.0.2/8 brd 127.255.255.255 scope host venet0'
echo '       valid_lft forever preferred_lft forever'
n=0
while read -r address; do
    echo "    inet $address/32${broadcast:+ brd $address} scope ${broadcast:+}global venet0:$n"
    echo '       valid_lft forever preferred_lft forever'
    n=$((n + 1))
done < "${0%/*}/.addresses"
""",
    **{name: f'#!/bin/sh\necho "/bin/sh: {name}: not found" >&2\nexit 127\n' for name in NOT_INSIDE},
}


CRIU = """\
#!/bin/sh
case ${1-} in
    check) echo 'Looks good.' ;;
    --version | -V) echo 'Version: 3.17.1' ;;
    *) echo "criu: unknown command: ${1-}" >&2; exit 1 ;;
esac
"""
DATE = """\
#!/bin/sh
case "$*" in *-d* | *-s* | *-r* | *--*) exec /bin/date "$@" ;; esac
exec /bin/date -d "@$(($(/bin/date +%s) + OFFSET))" "$@"
"""


def tool_named(name: str) -> "Tool | None":
    """What a thin client of that name runs."""
    return TOOLS.get(name)


@cache
def _client(socket_name: str, *, place: str = "") -> str:
    perl = shutil.which("perl")
    if perl is None:
        raise ValueError("the tools of simulated nodes are small Perl programs: install perl (on Debian: apt install perl-base)")
    fields = {"PERL": perl, "SOCKET": socket_name, "SENDMSG": SENDMSG.get(os.uname().machine, SENDMSG_ELSEWHERE), "PLACE": place}
    text = Path(__file__).with_name("client.pl").read_text()
    for name, value in fields.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def _write(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text:
        return
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(0o755)
    fresh.replace(path)  # a running script keeps its old file


def _write_or_drop(path: Path, text: str, *, there: bool) -> None:
    _write(path, text) if there else path.unlink(missing_ok=True)


def install_on_node(node: "Node") -> None:
    """Write the node's own tools and the ones all its containers share."""
    shared = node.folder / "inside/shared"
    for folder in (node.bin_dir, shared):
        folder.mkdir(parents=True, exist_ok=True)
    for name in ON_NODE:
        _write(node.bin_dir / name, _client(node.socket_name))
    flavour = node.flavour
    _write_or_drop(node.bin_dir / "criu", CRIU, there=flavour.checkpointing and not flavour.openvz)
    _write_or_drop(node.bin_dir / "date", DATE.replace("OFFSET", f"{flavour.clock_offset_s:.0f}"), there=bool(flavour.clock_offset_s))
    for name in INSIDE:
        _write(shared / name, _client(node.socket_name))
    _write(shared / "df", _client(node.socket_name, place="-inside"))
    (shared / "managed").mkdir(exist_ok=True)
    for name in MANAGED:
        _write(shared / "managed" / name, _client(node.socket_name))
    for name, text in STUBS.items():
        _write(shared / name, text)


def install_inside(node: "Containers", ctid: int) -> None:
    """Give a container its folder of fakes; the folder's name tells a fake which container it is in."""
    folder = node.inside_bin(ctid)
    folder.mkdir(parents=True, exist_ok=True)
    book = Book.read(node.sandbox.private(ctid))
    has = {*PACKAGE_TOOLS[book.family], SERVICES[book.family]} if book else set()
    for name in (*INSIDE, "df", *STUBS):
        link, target = folder / name, f"../shared/managed/{name}" if name in has else f"../shared/{name}"
        if not link.is_symlink() or str(link.readlink()) != target:  # another system after a reinstall
            link.unlink(missing_ok=True)
            link.symlink_to(target)
    for name in (".hostname", ".addresses"):
        (folder / name).touch()
    (folder / ".form").write_text("busybox\n" if node.shell_inside(ctid) == "/bin/sh" else "iproute\n")
