"""The simulated disk of a node: a size, what containers take of it, and `df` for it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.simnode.calls import Call
    from ops.simnode.containers import Containers

FOLDER_KIB = 4
SYSTEM_KIB = 2_400_000  # what a fresh node has on /vz already: caches and the like


class Disk:
    """Free space is counted, never measured, so that a full disk costs nothing."""

    def __init__(self, node: "Containers") -> None:
        self.node = node
        self.sizes: dict[int, int] = {}  # KiB of each container's private area
        self.fixed_free_kib: int | None = None  # a fault: so much is free whatever the containers take
        self.fixed_free_inodes: int | None = None

    @property
    def size_kib(self) -> int:
        return self.node.flavour.disk_kib

    @property
    def free_kib(self) -> int:
        if self.fixed_free_kib is not None:
            return self.fixed_free_kib
        return max(self.size_kib - SYSTEM_KIB - sum(self._there().values()), 0)

    def _there(self) -> dict[int, int]:
        """Sizes of the private areas that exist: some go without vzctl (`rm -rf`, `mv`)."""
        names = {path.name.partition(".")[0] for path in self.node.sandbox.private_dir.iterdir()}
        for ctid in [ctid for ctid in self.sizes if str(ctid) not in names]:
            del self.sizes[ctid]
        return self.sizes

    def inodes_of(self, ctid: int) -> int:
        conf = self.node.conf_of(ctid)
        return self.node.template(conf).inodes if conf else 0

    def figures(self, kind: str) -> tuple[int, int]:
        if kind == "i":
            size = self.node.flavour.inodes
            free = size - 12_000 * len(self._there()) - 90_000 if self.fixed_free_inodes is None else self.fixed_free_inodes
            return size, max(free, 0)
        return self.size_kib, self.free_kib


async def df(call: "Call") -> int:
    """`df [-Pki] PATH`: the simulated figures for anything under the sandbox or /vz, the real df for the rest."""
    node = call.node
    paths = [word for word in call.words if not word.startswith("-")]
    flags = "".join(word[1:] for word in call.words if word.startswith("-") and not word.startswith("--"))
    mine = [path for path in paths if path.startswith((str(node.sandbox.root), "/vz"))]
    if not mine or any(word.startswith("--") for word in call.words):
        await call.write(b"x", "\0".join(["/bin/df", *call.words]).encode(errors="surrogateescape"))
        return 0
    size, free = node.disk.figures("i" if "i" in flags else "k")
    used = size - free
    percent = f"{-(-used * 100 // max(size, 1))}%"
    head = ("Inodes", "IUsed", "IFree", "IUse%") if "i" in flags else ("1024-blocks", "Used", "Available", "Capacity")
    lines = [f"{'Filesystem':<15} {head[0]:>11} {head[1]:>10} {head[2]:>10} {head[3]:>8} Mounted on"]
    lines += [f"{'/dev/sim0':<15} {size:>11} {used:>10} {free:>10} {percent:>8} {node.sandbox.root}/vz" for _ in mine]
    await call.print("\n".join(lines) + "\n")
    return 0


async def make_folder(call: "Call") -> int:
    """`mkdir -p` that knows when the simulated disk is full."""
    path = call.words[-1]
    if call.node.disk.free_kib < FOLDER_KIB:
        await call.noise(f"mkdir: cannot create directory '{path}': No space left on device")
        return 1
    (call.node.sandbox.root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    return 0
