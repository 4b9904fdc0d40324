"""The OS templates a simulated node has in its cache, and what unpacking, booting and halting one costs."""

import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from ops.simnode.package_book import FILE, packed


@dataclass(frozen=True)
class Template:
    """Facts of one template; seconds are those of a real small node (facts §11), scaled by `--speed`."""

    name: str
    kib: int  # disk space one container takes
    unpack_s: float
    halt_s: float  # from `halt` to no process left
    boot_s: float  # from init to the default runlevel
    inodes: int = 12_000
    shell: str = "/bin/bash"  # what `vzctl exec` finds inside
    noise: tuple[str, ...] = ()  # what its postcreate script says on stderr
    files: dict[str, str] = field(default_factory=dict)

    @property
    def busybox(self) -> bool:
        return self.shell == "/bin/sh"


def _packages(family: str, release: str) -> dict[str, str]:
    """Files of a template that has a package manager, with some packages and services."""
    versions = {"apt": ("5.2.15-2", "3.0.14-1", "1.22.1-9"), "apk": ("5.2.15-r5", "3.1.0-r1", "1.24.0-r6")}
    installed = dict(zip(("bash", "openssl", "nginx"), versions.get(family, ("4.1.2-48", "1.0.1e-57", "1.10.2-1")), strict=True))
    return _files(release) | {FILE: packed(family, installed, ["cron", "nginx", "ssh"])}


def _files(release: str) -> dict[str, str]:
    return {
        "etc/os-release": release,
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
        "etc/shadow": "root:*:20780:0:99999:7:::\n",
        "etc/hosts": "127.0.0.1 localhost\n",
        "etc/hostname": "localhost\n",
        "sbin/init": "#!/bin/sh\n# stands for the init of the container\n",
        "sbin/halt": "#!/bin/sh\nexec halt\n",  # the fake of the container's own bin folder tells the simulator
        "etc/init.d/rcS": "#!/bin/sh\n# start services\n: > /.vzfifo  # vzctl start --wait listens here\n",
        "tmp/.keep": "",
        "root/.keep": "",
        "var/log/.keep": "",
        "var/run/.keep": "",
    }


SETFATTR = "/etc/vz/dists/scripts/postcreate.sh: 119: setfattr: not found"
TEMPLATES = {
    template.name: template
    for template in (
        Template("busybox-mini-x86_64", 2110, 0.07, 2.2, 0.02, 120, "/bin/sh", files=_files('ID=busybox\nVERSION_ID="1.35"\n')),
        Template(
            "debian-12-x86_64-minbase",
            195_510,
            2.77,
            1.03,
            0.26,
            noise=(SETFATTR, SETFATTR),
            files=_packages("apt", 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n') | {"etc/debian_version": "12.15\n"},
        ),
        Template(
            "ubuntu-22.04-x86_64",
            402_400,
            4.4,
            1.6,
            0.9,
            noise=(SETFATTR, SETFATTR),
            files=_packages("apt", 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n') | {"etc/debian_version": "bookworm/sid\n"},
        ),
        Template(
            "centos-6-x86_64",
            512_000,
            5.2,
            2.1,
            1.4,
            files=_packages("yum", 'ID=centos\nVERSION_ID="6"\n') | {"etc/redhat-release": "CentOS release 6.10 (Final)\n"},
        ),
        Template("almalinux-9-x86_64", 604_000, 5.8, 1.6, 0.9, files=_packages("dnf", 'ID="almalinux"\nID_LIKE="rhel"\nVERSION_ID="9.4"\n')),
        Template("opensuse-15.6-x86_64", 548_000, 5.4, 1.6, 0.9, files=_packages("zypper", 'ID="opensuse-leap"\nVERSION_ID="15.6"\n')),
        Template("alpine-3.18-x86_64", 9_200, 0.2, 1.1, 0.1, 900, "/bin/sh", files=_packages("apk", "ID=alpine\nVERSION_ID=3.18.4\n")),
    )
}


def pack(template: Template, folder: Path) -> None:
    """Write the template's small tarball into the cache folder if it is not there."""
    target = folder / f"{template.name}.tar.gz"
    if target.exists():
        return
    with tarfile.open(target, "w:gz", compresslevel=1) as tar:
        for name, text in template.files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text.encode()), 0o755 if name.startswith("sbin/") else 0o644
            tar.addfile(member, io.BytesIO(text.encode()))


def find(name: str, cache: Path) -> tuple[Template, Path] | None:
    """The template and its tarball as the cache folder has it now, or None."""
    for ending in (".tar", ".tar.gz", ".tar.bz2", ".tar.xz"):
        tarball = cache / f"{name}{ending}"
        if tarball.exists():
            known = TEMPLATES.get(name)
            return known or Template(name, max(tarball.stat().st_size * 3 // 1024, 1), 1.0, 1.5, 0.5), tarball
    return None


def unpack(tarball: Path, folder: Path) -> None:
    """Real files of the template under `folder`."""
    with tarfile.open(tarball) as tar:
        tar.extractall(folder, filter="tar") if hasattr(tarfile, "tar_filter") else tar.extractall(folder)  # noqa: S202
