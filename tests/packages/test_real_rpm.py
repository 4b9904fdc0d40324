"""The script against the real dnf and zypper, each in a root of its own with a local repository; what is asserted here is what the fakes claim.

Runs as root where dnf, zypper, rpmbuild and createrepo_c are installed (all in Debian); see ops/docs/rollouts.md.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from models.campaign_states import Outcome
from models.updates import Packages
from tests.packages.real import JOB, Root, Told
from workers.openvz import inside
from workers.openvz.packages import upgrade

NEEDED = ("dnf", "zypper", "rpmbuild", "createrepo_c")
pytestmark = [
    pytest.mark.real_packages,
    pytest.mark.skipif(os.geteuid() != 0 or not all(map(shutil.which, NEEDED)), reason=f"needs root and {', '.join(NEEDED)}"),
]
REPOSITORY = "[local]\nname=local\nbaseurl=file://{folder}\nenabled=1\nautorefresh=1\ngpgcheck=0\nmetadata_expire=0\n"
NO_SUCH = "#!/bin/sh\nexit 127\n"


@dataclass(frozen=True)
class Place:
    """A root, its repository, and the programs by which the script reaches them."""

    folder: Path
    family: str

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def offer(self, name: str, version: str, *, post: str = "") -> None:
        """A package of ours, with this %post."""
        spec, share = self.folder / "spec", f"%{{buildroot}}/usr/share/{name}"
        files = f"%install\nmkdir -p {share}\necho {version} >{share}/data\n%files\n/usr/share/{name}\n"
        head = f"Name: {name}\nVersion: {version}\nRelease: 1\nSummary: t\nLicense: t\nBuildArch: noarch\nProvides: /bin/sh\n%description\nt\n"
        spec.write_text(head + (f"%post\n{post}\n" if post else "") + files)
        subprocess.run(["rpmbuild", "-bb", "--define", f"_topdir {self.folder}/build", str(spec)], check=True, capture_output=True)
        for made in (self.folder / "build/RPMS").rglob("*.rpm"):
            shutil.move(made, self.folder / "repo" / made.name)
        subprocess.run(["createrepo_c", "-q", str(self.folder / "repo")], check=True)

    def begin(self, **action: object) -> "subprocess.Popen[bytes]":
        script = upgrade(Packages.model_validate({"do": "packages"} | action), patience=timedelta(0))
        process = subprocess.Popen(
            ["/bin/sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.root, env=self.environment
        )
        assert process.stdin is not None
        process.stdin.write(inside.wrapped(script, JOB))
        process.stdin.close()
        process.stdin = None
        return process

    def upgrade(self, **action: object) -> Told:
        return Root.end(self.begin(**action))

    @property
    def environment(self) -> dict[str, str]:
        # Debian's rpm keeps its database under $HOME, and the script's HOME is /root.
        return {"HOME": "/root", "TERM": "linux", "PATH": f"{self.folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

    def installed(self) -> set[str]:
        query = ["/usr/bin/rpm", "--root", str(self.root), "-qa"]
        return set(subprocess.run(query, check=True, capture_output=True, text=True, env=self.environment).stdout.split())


@pytest.fixture(params=["dnf", "zypper"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    """`sim-a` 1 and `sim-b` 1 are installed."""
    made = Place(tmp_path, request.param)
    for name in ("repo", "bin", "repos", "root/bin", "root/tmp", "root/run", "root/etc/zypp/repos.d"):
        (tmp_path / name).mkdir(parents=True)
    for program in ("/bin/dash", "/bin/sleep"):
        shutil.copy(program, tmp_path / "root/bin" / ("sh" if program.endswith("dash") else "sleep"))
        for library in re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout):
            target = tmp_path / "root" / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
    for folder in ("repos", "root/etc/zypp/repos.d"):
        (tmp_path / folder / "local.repo").write_text(REPOSITORY.format(folder=tmp_path / "repo"))
    # --refresh: dnf takes metadata of the same second for new enough.
    dnf = f"--installroot={made.root} --refresh --setopt=reposdir={tmp_path}/repos --releasever=9"
    where = {"dnf": dnf, "zypper": f"--root {made.root} --no-gpg-checks"}
    tools = {"apt-get": NO_SUCH, "dnf": NO_SUCH, "yum": NO_SUCH, "rpm": f'#!/bin/sh\nexec /usr/bin/rpm --root {made.root} "$@"\n'}
    tools[made.family] = f'#!/bin/sh\nexec /usr/bin/{made.family} {where[made.family]} "$@"\n'
    for name, text in tools.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    made.offer("sim-a", "1")
    made.offer("sim-b", "1")
    words = ["-y", "install"] if made.family == "dnf" else ["-n", "in"]
    subprocess.run([str(tmp_path / "bin" / made.family), *words, "sim-a", "sim-b"], check=True, capture_output=True, env=made.environment)
    return made


def test_what_is_pending_is_upgraded_and_told(place: Place) -> None:
    place.offer("sim-a", "2")
    place.offer("sim-b", "2")
    told = place.upgrade(names=["sim-a"])
    assert (told.report.outcome, told.report.pending) == (Outcome.OK, 1), told.output
    assert told.report.changes == ("- sim-a.noarch 1-1", "+ sim-a.noarch 2-1")
    told = place.upgrade()
    assert (told.report.outcome, told.report.pending, place.installed()) == (Outcome.OK, 1, {"sim-a-2-1.noarch", "sim-b-2-1.noarch"}), told.output
    assert place.upgrade().report.outcome is Outcome.UP_TO_DATE


def test_a_script_that_hangs_is_ended_with_all_its_processes(place: Place) -> None:
    place.offer("sim-b", "2", post="sleep 300")
    begun = time.monotonic()
    told = place.upgrade(timeout="8s")
    assert (told.report.outcome, told.ended.outcome) == (None, "timed-out"), told.output
    assert time.monotonic() - begun < 60
    left = subprocess.run(["pgrep", "-f", f"{place.root}"], check=False, capture_output=True, text=True).stdout
    assert not left


def test_a_mirror_that_has_gone_is_named(place: Place) -> None:
    (place.folder / "repo").rename(place.folder / "elsewhere")
    told = place.upgrade()
    assert (told.report.outcome, "package lists could not be read" in told.report.why) == (Outcome.FAILED, True), told.output


def test_a_lock_that_another_one_holds_is_named(place: Place) -> None:
    place.offer("sim-b", "2", post="until [ -e /go ]; do sleep 1; done")
    words = ["-y", "upgrade"] if place.family == "dnf" else ["-n", "up"]
    said = place.folder / "said"
    with said.open("wb") as out:
        argv = [str(place.folder / "bin" / place.family), *words]
        other = subprocess.Popen(argv, env=place.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while subprocess.run(["pgrep", "-g", str(other.pid), "-f", "sleep"], check=False, capture_output=True).returncode:
            assert other.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.2)
        place.offer("sim-a", "2")
        told = place.upgrade()
        assert (told.report.outcome, "another package manager holds its lock" in told.report.why) == (Outcome.FAILED, True), told.output
        (place.root / "go").touch()
        assert other.wait(timeout=60) == 0
        assert place.upgrade().report.outcome is Outcome.OK
    finally:
        if other.poll() is None:
            os.killpg(other.pid, signal.SIGKILL)
            other.wait()


def test_a_script_that_fails_is_told_as_each_of_them_tells_it(place: Place) -> None:
    place.offer("sim-b", "2", post="exit 1")
    told = place.upgrade()
    if place.family == "zypper":
        assert (told.report.outcome, "a package's script failed" in told.report.why) == (Outcome.FAILED, True), told.output
    else:
        assert told.report.outcome is Outcome.OK, told.output  # dnf warns and exits with 0: the new version is installed
    assert "sim-b-2-1.noarch" in place.installed()
