"""A root with real package managers that stands for a container, entered by chroot. Needs root; uses no network."""

import os
import shutil
import subprocess
import textwrap
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from models.updates import Packages
from workers.openvz import inside
from workers.openvz.packages import Report, report, upgrade

JOB = "01JD0000000000000000000000"
ENV = {"HOME": "/", "TERM": "linux", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}  # all that vzctl exec passes on


@dataclass
class Told:
    """What an upgrade said."""

    report: Report
    ended: inside.Ended
    output: str


@dataclass(frozen=True)
class Root:
    """One tree that stands for a container."""

    path: Path

    def begin(self, text: bytes) -> "subprocess.Popen[bytes]":
        """As exec2 begins it: a shell with the script on its input, in /."""
        process = subprocess.Popen(
            ["chroot", str(self.path), "/bin/sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV, cwd="/"
        )
        assert process.stdin is not None
        process.stdin.write(text)
        process.stdin.close()
        process.stdin = None
        return process

    def upgrade(self, *, check: bool = False, patience_s: float = 0, **action: object) -> Told:
        return self.end(self.begin(self.text(check=check, patience_s=patience_s, **action)))

    @staticmethod
    def text(*, job: str = JOB, check: bool = False, patience_s: float = 0, **action: object) -> bytes:

        script = upgrade(Packages.model_validate({"do": "packages"} | action), check=check, patience=timedelta(seconds=patience_s))
        return inside.wrapped(script, job)

    @staticmethod
    def end(process: "subprocess.Popen[bytes]") -> Told:
        out, err = process.communicate(timeout=120)
        said = out.decode(errors="replace") + err.decode(errors="replace")
        return Told(report(out.decode(errors="replace")), inside.ended(err.decode(errors="replace")), said)

    def run(self, command: str) -> str:
        done = subprocess.run(["chroot", str(self.path), "/bin/sh", "-c", command], env=ENV, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.decode()

    def version(self, package: str) -> str:
        return self.run(f"dpkg-query -W -f '${{Version}} ${{Status}}' {package}")


def deb(folder: Path, name: str, version: str, *, postinst: str = "", conffile: str = "") -> None:
    """A package of ours in the folder."""
    tree = folder.parent / f"build-{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: test\n"
    )
    (tree / f"usr/share/{name}").mkdir(parents=True)
    (tree / f"usr/share/{name}/data").write_bytes(os.urandom(1 << 16))
    if postinst:
        (tree / "DEBIAN/postinst").write_text(f"#!/bin/sh\n{textwrap.dedent(postinst)}\n")
        (tree / "DEBIAN/postinst").chmod(0o755)
    if conffile:
        (tree / "etc").mkdir()
        (tree / f"etc/{name}.conf").write_text(conffile)
        (tree / "DEBIAN/conffiles").write_text(f"/etc/{name}.conf\n")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", str(tree), str(folder)], check=True, capture_output=True)
    shutil.rmtree(tree)


def index(folder: Path) -> None:
    """What apt reads of a folder with packages."""
    listing = subprocess.run(["dpkg-scanpackages", "-m", "."], cwd=folder, check=True, capture_output=True).stdout
    (folder / "Packages").write_bytes(listing)
