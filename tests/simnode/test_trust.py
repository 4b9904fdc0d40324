"""From node to node: a move gets in by the keys and host keys that are really there, and no further than they allow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest

from tests.simnode.labs import KEY
from tests.simnode.pairs import NODE_KEY, Pair, moved, pair_in

NOT_ACCEPTED = "Error: Can't connect to destination address using public key\nError: Please put your public key to destination node\n"
OURS = NODE_KEY.export_public_key().decode()


@asynccontextmanager
async def keyed(folder: Path) -> AsyncIterator[Pair]:
    """A pair that lets in listed keys only, with a stopped container on nodeA."""
    operator = folder / "operator.pub"
    operator.write_text(KEY.export_public_key().decode())
    async with pair_in(folder / "lab", any_key=False, authorized_keys=operator) as pair:
        await pair.a.ok("vzctl create 207 --ostemplate busybox-mini-x86_64 --layout simfs")
        yield pair


async def test_without_a_key_over_there_nothing_is_touched(tmp_path: Path):
    async with keyed(tmp_path) as pair:
        (pair.b.root / "root/.ssh/authorized_keys").unlink()
        answer = await moved(pair.a, "10.99.0.12 207")
        assert (answer.code, answer.err) == (4, NOT_ACCEPTED)
        assert not (pair.b.root / "etc/vz/conf/207.conf").exists()
        assert not (pair.a.root / "vz/lock/207.lck").exists()


@pytest.mark.parametrize(
    ("line", "code"),  # the key itself is made anew in each process: xdist wants the same names in all
    [
        ("KEY", 0),
        ('from="127.0.0.1" KEY', 0),
        ('from="127.0.0.0/8",restrict KEY', 0),
        ('restrict,expiry-time="20990101" KEY', 0),
        ("# a word\nnot a key\nKEY", 0),
        ('from="127.9.9.9" KEY', 4),
        ('from="10.0.0.0/8",restrict KEY', 4),
        ('expiry-time="20200101" KEY', 4),
        ('command="exit 1" KEY', 4),
        ('command="exec /bin/sh -c \\"$SSH_ORIGINAL_COMMAND\\"",restrict KEY', 0),
        ("# nobody\n", 4),
    ],
)
async def test_a_key_opens_as_far_as_its_line_says(line: str, code: int, tmp_path: Path):
    async with keyed(tmp_path) as pair:
        (pair.b.root / "root/.ssh/authorized_keys").write_text(line.replace("KEY", OURS))
        assert (await moved(pair.a, "10.99.0.12 207")).code == code


@pytest.mark.parametrize(
    ("options", "known", "code"),
    [
        ("", "right", 0),
        ("", "none", 4),
        ("-o StrictHostKeyChecking=yes", "none", 4),
        ("", "wrong", 4),
        ("-o StrictHostKeyChecking=accept-new", "none", 0),
        ("-o StrictHostKeyChecking=accept-new", "wrong", 4),
        ("-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null", "none", 0),
    ],
)
async def test_a_host_is_who_its_key_says_it_is(options: str, known: str, code: int, tmp_path: Path):
    async with keyed(tmp_path) as pair:
        file = pair.a.root / "root/.ssh/known_hosts"
        if known == "none":
            file.unlink()
        if known == "wrong":
            server = pair.lab.machines["node2"].server
            file.write_text(f"[{server.host}]:{server.port} {OURS}")
        assert (await moved(pair.a, f"--ssh='{options}' 10.99.0.12 207")).code == code
        assert file.exists() == (known != "none" or "accept-new" in options)


async def test_port_key_and_known_hosts_can_come_by_the_command_line_from_the_sandbox(tmp_path: Path):
    async with keyed(tmp_path) as pair:
        server = pair.lab.machines["node2"].server
        home, place = pair.a.root / "root/.ssh", pair.a.root / "var/lib/trust"
        place.mkdir(parents=True)
        (home / "id_ed25519").rename(place / "key")
        (place / "hosts").write_text(f"n2.lab {server.key.export_public_key().decode()}")
        for name in ("config", "known_hosts"):
            (home / name).unlink()
        options = f"-o Port={server.port} -i /var/lib/trust/key -o UserKnownHostsFile=/var/lib/trust/hosts -o HostKeyAlias=n2.lab -o ConnectTimeout=5"
        assert (await moved(pair.a, f"--ssh='{options}' 127.0.0.1 207")).code == 0


async def test_a_key_that_others_may_read_is_not_used(tmp_path: Path):
    async with keyed(tmp_path) as pair:
        (pair.a.root / "root/.ssh/id_ed25519").chmod(0o644)
        assert (await moved(pair.a, "10.99.0.12 207")).code == 4


async def test_a_destination_that_is_silent_is_given_up_when_the_options_say_so(tmp_path: Path):
    async with keyed(tmp_path) as pair:
        await pair.a.ctl("fault", command="vzmigrate", action="hold", phase="first-rsync")
        options = "-o ConnectTimeout=1 -o ServerAliveInterval=1 -o ServerAliveCountMax=1"
        move = asyncio.create_task(moved(pair.a, f"--ssh='{options}' --ssh-mux 10.99.0.12 207"))
        await pair.a.ctl("held", wait_s=20)
        await pair.b.ctl("silent")
        await pair.a.ctl("release")
        assert (await move).code == 6


async def test_an_operators_key_may_have_a_terminal_and_a_restricted_one_may_not(tmp_path: Path):
    async with keyed(tmp_path) as pair:
        server = pair.lab.machines["node2"].server
        (pair.b.root / "root/.ssh/authorized_keys").write_text(f"restrict {OURS}")
        known = ([server.key.convert_to_public()], [], [])
        async with asyncssh.connect(
            server.host, server.port, username="root", client_keys=[NODE_KEY], known_hosts=known, config=None, agent_path=None
        ) as connection:
            assert (await connection.run("echo $SSH_CONNECTION | wc -w")).stdout == "4\n"
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.run("tty", term_type="xterm")
        await pair.b.ok("true")
