"""vzctl snapshot and its kin on ploop: copies of the files in the private area, with the tree that vzctl keeps of them.

Real ones are deltas in an image beside Snapshots.xml; here the private area is the container's root, so both are seen inside.
"""

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ops.simnode.calls import Call, Refused
from ops.simnode.vzctl_run import kill_and_unmount

FOLDER, TREE = ".snapshots", "Snapshots.xml"
NOT_PLOOP = "Snapshot feature is only available for ploop-based CTs"
FAILED = {"snapshot": 156, "snapshot-delete": 158, "snapshot-switch": 159, "snapshot-list": 167}


@dataclass
class Snapshot:
    """One state that is kept."""

    parent: str
    name: str
    date: str


class Tree:
    """The snapshots of one container, and the one its present state rests on."""

    def __init__(self, private: Path) -> None:
        self.private = private
        self.all: dict[str, Snapshot] = {}
        self.current = ""
        kept = private / FOLDER / "tree.json"
        if kept.exists():
            said = json.loads(kept.read_text())
            self.current, self.all = said["current"], {name: Snapshot(**one) for name, one in said["all"].items()}

    def files(self, name: str) -> Path:
        return self.private / FOLDER / name

    def children(self, name: str) -> list[str]:
        """What rests on it; the present state is `now`."""
        return [child for child, one in self.all.items() if one.parent == name] + (["now"] if self.current == name else [])

    def save(self) -> None:
        if not self.all:
            shutil.rmtree(self.private / FOLDER, ignore_errors=True)
            (self.private / TREE).unlink(missing_ok=True)
            return
        (self.private / FOLDER).mkdir(exist_ok=True)
        said = {"current": self.current, "all": {name: asdict(one) for name, one in self.all.items()}}
        (self.private / FOLDER / "tree.json").write_text(json.dumps(said))
        (self.private / TREE).write_text("".join(f'<SavedStateItem guid="{{{name}}}"/>\n' for name in self.all))


def _tree(call: Call, ctid: int) -> Tree:
    conf = call.node.conf_of(ctid)
    if conf is None or (conf.get("VE_LAYOUT") or "").partition(":")[0] != "ploop":
        raise Refused(FAILED.get(call.command, 167), NOT_PLOOP)
    return Tree(call.node.sandbox.private(ctid))


def _id(call: Call, words: list[str]) -> str:
    wanted = words[words.index("--id") + 1].strip("{}") if "--id" in words[:-1] else ""
    if not wanted:
        raise Refused(21, f"vzctl {call.command}: --id is missing")
    return wanted


def _known(call: Call, tree: Tree, name: str) -> Snapshot:
    if name not in tree.all:
        raise Refused(FAILED[call.command], f"Unable to find snapshot by uuid {{{name}}}")
    return tree.all[name]


def _left_out(_folder: str, names: list[str]) -> set[str]:
    return {FOLDER, TREE} & set(names)


async def snapshot(call: Call, ctid: int, words: list[str]) -> int:
    """Of the files only with --skip-suspend; without it a running one would be frozen and dumped as well."""
    tree, name = _tree(call, ctid), _id(call, words)
    if name in tree.all:
        raise Refused(156, f"Snapshot {{{name}}} already exists")
    await call.out(f"Creating snapshot {{{name}}}")
    await call.phase("snapshot", 0.1)
    shutil.copytree(tree.private, tree.files(name), ignore=_left_out, symlinks=True)
    called = words[words.index("--name") + 1] if "--name" in words[:-1] else ""
    tree.all[name] = Snapshot(tree.current, called, time.strftime("%Y-%m-%d %H:%M:%S"))
    tree.current = name
    tree.save()
    await call.out(f"Snapshot {{{name}}} has been successfully created")
    return 0


async def switch(call: Call, ctid: int, words: list[str]) -> int:
    """The present state is lost; what ran is ended, and as there is no memory dump it stays down."""
    tree, name = _tree(call, ctid), _id(call, words)
    _known(call, tree, name)
    if call.node.state(ctid).running:
        await kill_and_unmount(call, ctid, fast=True)
    await call.phase("switch", 0.1)
    for path in tree.private.iterdir():
        if path.name not in (FOLDER, TREE):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    shutil.copytree(tree.files(name), tree.private, symlinks=True, dirs_exist_ok=True)
    tree.current = name
    tree.save()
    await call.out(f"Container has been successfully switched to another snapshot {{{name}}}")
    return 0


async def delete(call: Call, ctid: int, words: list[str]) -> int:
    """Merged into the one state that rests on it; refused where there are two."""
    tree, name = _tree(call, ctid), _id(call, words)
    gone, children = _known(call, tree, name), tree.children(name)
    if len(children) > 1:
        raise Refused(158, f"There are {len(children)} references on {{{name}}} snapshot: operation not supported")
    await call.out(f"Deleting snapshot {{{name}}}")
    await call.phase("merge", 0.2)
    for child in children:
        if child == "now":
            tree.current = gone.parent
        else:
            tree.all[child].parent = gone.parent
    del tree.all[name]
    shutil.rmtree(tree.files(name), ignore_errors=True)
    tree.save()
    await call.out(f"Snapshot {{{name}}} has been successfully deleted")
    return 0


async def list_(call: Call, ctid: int, words: list[str]) -> int:
    """Columns of fixed width, the last one as long as it is."""
    tree = _tree(call, ctid)
    fields = (words[words.index("-o") + 1] if "-o" in words[:-1] else "parent_uuid,current,uuid,date,name").split(",")
    widths = {"uuid": 38, "parent_uuid": 38, "current": 1, "date": 19, "name": 32}
    if not set(fields) <= set(widths):
        raise Refused(21, f"Unknown field: {', '.join(sorted(set(fields) - set(widths)))}")
    heads = {"uuid": "UUID", "parent_uuid": "PARENT_UUID", "current": "C", "date": "DATE", "name": "NAME"}
    rows = [] if "-H" in words else [heads]
    for name, one in tree.all.items():
        parent = f"{{{one.parent}}}" if one.parent else ""
        rows.append(
            {"uuid": f"{{{name}}}", "parent_uuid": parent, "current": "*" if name == tree.current else "", "date": one.date, "name": one.name}
        )
    lines = [" ".join([*(row[field].ljust(widths[field]) for field in fields[:-1]), row[fields[-1]]]) for row in rows]
    await call.print("".join(f"{line}\n" for line in lines))
    return 0
