"""What a case begins with and what is ordered then: every plan from every standing in which its order is accepted.

A plan that is new needs three things here: a row in `ORDERS` (what its order says beside the container), a line in `_shown`
of checks.py if its success shows elsewhere than in the container's row, and, for a program that the stand-in node does not
know yet, an entry in `PROGRAMS` of node.py. A plan about two nodes finds the other one as `node.peers[name]` there; whatever
it does, checks.py looks at all nodes: a container is on the node that its row says, and nothing of it is anywhere else.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.fleet import Address, Container, ContainerState, Plan
from models.reservations import sizes_of
from models.standing import VERBS, Standing, after
from tests.crash.container import MARK, Area
from tests.factories import make_plan
from workers.openvz.driver import Identity, Limits
from workers.openvz.vzctl import Vzctl

if TYPE_CHECKING:
    from tests.crash.house import CrashHouse

PASSWORD = "sesame-open-9"
OLD_PASSWORD = "the-old-one-7"
CTID, NODE = 5000, "n1"
MIB, GIB = 1 << 20, 1 << 30
ADDRESSES = ("127.64.0.201", "127.64.0.202")
SAMPLE = "vswap-256m"


@dataclass(frozen=True)
class Scene:
    """One plan and the state of the world before its order."""

    kind: str
    standing: Standing | None = None  # of the container that the order is about; None: there is none in the books
    variant: str = ""

    @property
    def name(self) -> str:
        return "-".join(word for word in (self.kind, self.standing, self.variant) if word)

    def furnish(self, house: "CrashHouse") -> None:
        """Put there what the order is about, on the node and in the books."""
        for node in house.nodes.values():
            node.openvz = self.variant != "criu"
        if self.standing is not None:
            _present(house, self.standing, half_gone=self.variant == "half-gone")
        elif self.kind == "adopt-container":
            _unknown(house, marked=self.variant == "marked", running=self.variant != "stopped")
        elif self.kind == "clear-debris":
            _debris(house, self.variant)

    def order(self, house: "CrashHouse", rng: random.Random) -> dict[str, Any]:
        """What is asked."""
        given = ORDERS[self.kind](house, self, rng) if self.kind in ORDERS else {}
        about = {} if self.kind == "create-container" else {"ctid": CTID}
        return {"kind": self.kind, **about, **given}


def _create(_house: "CrashHouse", scene: Scene, rng: random.Random) -> dict[str, Any]:
    order: dict[str, Any] = {"plan": "small", "template": "busybox", "hostname": "a.example.net", "name": "web-a"}
    order |= {"password": PASSWORD} if scene.variant != "bare" else {}
    return order | ({"ctid": CTID + rng.randrange(1000)} if scene.variant == "own-id" else {})


def _reinstall(_house: "CrashHouse", _scene: Scene, rng: random.Random) -> dict[str, Any]:
    return {"password": PASSWORD} if rng.random() < 0.6 else {}


def _clear(house: "CrashHouse", scene: Scene, _rng: random.Random) -> dict[str, Any]:
    return {"node": NODE} | ({"of": house.maker} if scene.variant in ("half-made", "destroyed") else {})


ORDERS: Mapping[str, Callable[["CrashHouse", Scene, random.Random], dict[str, Any]]] = {
    "create-container": _create,
    "stop-container": lambda _house, _scene, rng: {"fast": rng.random() < 0.3},
    "resize-container": lambda _house, _scene, rng: {"plan": rng.choice(("large", "tiny"))},
    "reinstall-container": _reinstall,
    "set-password": lambda _house, _scene, _rng: {"password": PASSWORD},
    "set-hostname": lambda _house, _scene, _rng: {"hostname": "other.example.net"},
    "set-nameservers": lambda _house, _scene, _rng: {"nameservers": ["8.8.8.8", "9.9.9.9"]},
    "rename-container": lambda _house, _scene, _rng: {"name": "other-name"},
    "remove-address": lambda _house, _scene, rng: {"address": rng.choice(ADDRESSES)},
    "terminate-container": lambda _house, _scene, _rng: {"grace_hours": 24.0},
    "adopt-container": lambda _house, _scene, _rng: {"node": NODE, "customer": "somebody"},
    "clear-debris": _clear,
    "update-container": lambda _house, _scene, rng: {"action": SCRIPT, "reboot": rng.choice(("never", "always"))},
    "migrate-container": lambda _house, scene, _rng: {"to": "n2", "mode": MODES.get(scene.variant, "offline")},
}
SCRIPT = {"do": "script", "text": "true", "interpreter": "sh"}
MODES = {"online": "online", "criu": "online", "either": "online-else-offline"}
CREATES = tuple(Scene("create-container", None, variant) for variant in ("", "bare", "own-id"))
ELSEWHERE = frozenset({"quarantine-container"})  # a node given up for lost is a story
_ALLOWED = tuple(
    Scene(verb, standing) for verb in VERBS if verb not in ELSEWHERE for standing in Standing if isinstance(after(verb, standing), Standing)
)
SCENES = (
    *CREATES,
    *(scene for scene in _ALLOWED if not (scene.kind == "purge-container" and scene.standing is Standing.GONE)),
    Scene("purge-container", Standing.TERMINATED, "half-gone"),
    *(Scene("adopt-container", None, variant) for variant in ("", "marked", "stopped")),
    *(Scene("clear-debris", None, variant) for variant in ("half-made", "destroyed", "nobodys")),
    Scene("clear-debris", Standing.STOPPED, "lock"),
    *(Scene("migrate-container", Standing.RUNNING, variant) for variant in ("online", "criu", "either", "offline")),
    *(Scene("migrate-container", standing) for standing in (Standing.STOPPED, Standing.SUSPENDED, Standing.TERMINATED)),
)  # fmt: skip


def plans() -> tuple[Plan, ...]:
    """What can be bought."""
    small = make_plan("small", cpus=2, cpuunits=2000)
    return small, make_plan("large", ram_bytes=512 * MIB, disk_bytes=3 * GIB, cpus=4), make_plan("tiny", ram_bytes=128 * MIB, disk_bytes=GIB)


def _make(house: "CrashHouse", *, mark: str) -> None:
    """A whole, stopped container on the node, as create leaves it, with the mark of `mark`."""
    node, driver, small = house.nodes[NODE], Vzctl(), plans()[0]
    sizes = Limits(**sizes_of(small))
    commands = [
        driver.plant(CTID, mark, sample=SAMPLE, layout="simfs"),
        driver.create(CTID, template="busybox", layout="simfs", limits=sizes),
        driver.set_limits(CTID, sizes),
        driver.set_identity(CTID, Identity("a.example.net", "web-a", f"vzq job {mark}", ("9.9.9.9",))),
        driver.add_addresses(CTID, ADDRESSES),
        driver.set_onboot(CTID, onboot=False),
        driver.set_disabled(CTID, disabled=False),
    ]
    for command in commands:
        node.at_once([word for word in command.argv if word not in ("--layout", "simfs")] if command.name == "create" else command.argv)
    area = node.of(CTID).area
    if area is not None:
        area.password = OLD_PASSWORD


def _stand(house: "CrashHouse", standing: Standing) -> None:
    node, driver = house.nodes[NODE], Vzctl()
    if standing is Standing.RUNNING:
        commands = [driver.set_onboot(CTID, onboot=True), driver.start(CTID)]
    else:
        commands = [driver.set_disabled(CTID, disabled=standing is not Standing.STOPPED)]
    for command in commands:
        node.at_once(command.argv)


def _present(house: "CrashHouse", standing: Standing, *, half_gone: bool) -> None:
    """In the books and on the node alike."""
    house.maker = mark = house.ids.next()
    _make(house, mark=mark)
    _stand(house, standing)
    row = Container(
        ctid=CTID, node=NODE, site="main", state=ContainerState.PRESENT, name="web-a", hostname="a.example.net", plan="small", template="busybox",
        nameservers=["9.9.9.9"], probe="tcp:7000", job_id=mark, standing=standing, since=house.clock.now(), **sizes_of(plans()[0]),
    )  # fmt: skip
    row.purge_at = house.clock.now() if standing is Standing.TERMINATED else None
    with house.database.write() as session:
        session.add(row)
        session.add_all(Address(address=address, pool="public", ctid=CTID, since=house.clock.now()) for address in ADDRESSES)
    container = house.nodes[NODE].of(CTID)
    container.stale_lock = house.case.scene.variant == "lock"
    if half_gone:
        container.area = None  # a destroy that was killed


def _unknown(house: "CrashHouse", *, marked: bool, running: bool) -> None:
    """A whole container that the books do not know: restored from a backup, or made by hand."""
    house.maker = mark = house.ids.next()
    _make(house, mark=mark)
    _stand(house, Standing.RUNNING if running else Standing.STOPPED)
    container = house.nodes[NODE].of(CTID)
    if not marked and container.conf is not None:
        del container.conf[MARK]


def _debris(house: "CrashHouse", variant: str) -> None:
    """What a create left that was killed, in several stages."""
    house.maker = mark = house.ids.next()
    container = house.nodes[NODE].of(CTID)
    container.half_made, container.touched = True, False
    if variant == "half-made":
        house.nodes[NODE].of(CTID).half_made = False
        house.nodes[NODE].at_once(Vzctl().plant(CTID, mark, sample=SAMPLE, layout="simfs").argv)
        container.half_made, container.area, container.stale_lock = True, Area(1), True
    elif variant == "destroyed":
        container.destroyed = {MARK: mark}
    with house.database.write() as session:
        session.add(Container(ctid=CTID, node=NODE, site="main", state=ContainerState.FOREIGN, since=house.clock.now()))
