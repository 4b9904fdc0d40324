"""The SSH transport against a real server: what is told apart, and what never looks like success."""

import asyncio
import os
import random
import re
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from models.clock import SystemClock
from models.errors import NodeFault, Unexpected, Unreachable, Unsure
from tests.transport.conftest import Server, public
from workers.transport import links as links_module
from workers.transport import ssh
from workers.transport.links import CHANNELS, Links
from workers.transport.ssh import NodeAddress, one_line, scan_host_key

SOON = timedelta(seconds=10)
ROOMS = Path(__file__).parents[2]


async def test_code_and_both_outputs_come_back(server: Server, links: Links) -> None:
    answer = await links.to(server.address).run(["sh", "-c", "echo out; echo err >&2; exit 5"], timeout=SOON)
    assert (answer.code, answer.out, answer.err) == (5, "out\n", "err\n")


async def test_words_arrive_as_they_were_sent(server: Server, links: Links) -> None:
    words = ["", "a b", "$HOME", "`id`", "'", '"', "\\", "*", "ä\n;", "-n", "#x", "~", "!!"]
    answer = await links.to(server.address).run(["printf", "%s|", *words], timeout=SOON)
    assert answer.out.split("|")[:-1] == words


async def test_input_arrives_exactly_and_ends(server: Server, links: Links) -> None:
    text = os.urandom(300_000)
    raw = await links.to(server.address).exchange(["cat"], stdin=text, timeout=SOON)
    assert raw.out == text


async def test_output_that_is_no_text_is_made_text(server: Server, links: Links) -> None:
    answer = await links.to(server.address).run(["printf", r"a\377\000b"], timeout=SOON)
    assert answer.out == "a\ufffd\ufffdb"


async def test_a_flood_is_not_read_to_its_end(server: Server, links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "LARGEST_ANSWER", 100_000)
    with pytest.raises(Unexpected, match="more than 100000 bytes"):
        await links.to(server.address).run(["head", "-c", "5000000", "/dev/zero"], timeout=SOON)
    assert (await links.to(server.address).run(["true"], timeout=SOON)).code == 0


async def test_twenty_at_once_use_one_connection_and_eight_channels(server: Server, links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links_module, "CROWDED", SOON)  # however slow this machine is just now
    link = links.to(server.address)
    answers = await asyncio.gather(*(link.run(["sh", "-c", f"sleep 0.1; echo {n}"], timeout=SOON) for n in range(20)))
    assert [answer.out for answer in answers] == [f"{n}\n" for n in range(20)]
    assert server.most_at_once == CHANNELS
    assert server.logins == 1


async def test_long_waits_do_not_keep_a_short_call_standing(server: Server, links: Links) -> None:
    link = links.to(server.address)
    waits = [asyncio.create_task(link.run(["sleep", "60"], timeout=SOON)) for _ in range(CHANNELS)]
    await seen(lambda: len(server.lines) == CHANNELS)
    began = time.monotonic()
    assert (await link.run(["echo", "x"], timeout=SOON)).out == "x\n"
    assert time.monotonic() - began < 5
    assert server.logins == 2
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


async def test_a_node_never_gets_more_than_three_connections(server: Server, links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links_module, "CROWDED", timedelta(seconds=0.05))
    link = links.to(server.address)
    answers = await asyncio.gather(*(link.run(["sh", "-c", f"sleep 0.5; echo {n}"], timeout=SOON) for n in range(40)))
    assert [answer.out for answer in answers] == [f"{n}\n" for n in range(40)]
    assert (server.most_at_once, server.logins) == (CHANNELS, 3)


async def test_who_stands_in_line_when_the_link_is_cut_gets_the_next_one(server: Server, links: Links) -> None:
    link = links.to(server.address)
    calls = [asyncio.create_task(link.run(["sh", "-c", f"sleep 0.3; echo {n}"], timeout=SOON)) for n in range(20)]
    await seen(lambda: len(server.lines) == CHANNELS)
    await server.cut()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(answer, Unsure) for answer in answers) == CHANNELS
    assert [answer.out for answer in answers[CHANNELS:]] == [f"{n}\n" for n in range(CHANNELS, 20)]


async def test_a_link_that_is_cut_while_a_command_runs_is_unsure_and_the_next_call_connects_again(server: Server, links: Links) -> None:
    link = links.to(server.address)
    running = asyncio.create_task(link.run(["sh", "-c", "echo part; sleep 5"], timeout=SOON))
    await seen(lambda: server.lines)
    await server.cut()
    with pytest.raises(Unsure, match="sh on n1 gave no exit code because the link broke"):
        await running
    assert (await link.run(["echo", "back"], timeout=SOON)).out == "back\n"
    assert server.logins == 2


async def test_a_connection_that_died_while_idle_is_replaced_without_a_word(server: Server, links: Links) -> None:
    link = links.to(server.address)
    await link.run(["true"], timeout=SOON)
    await server.cut()
    assert (await link.run(["echo", "back"], timeout=SOON)).out == "back\n"


async def test_death_by_a_signal_is_unsure(server: Server, links: Links) -> None:
    with pytest.raises(Unsure, match="SIGKILL"):
        await links.to(server.address).run(["sh", "-c", "kill -9 $$"], timeout=SOON)


async def test_a_time_out_is_unsure_and_the_next_call_gets_a_fresh_connection(server: Server, links: Links) -> None:
    link = links.to(server.address)
    with pytest.raises(Unsure, match="no answer within 0 s"):
        await link.run(["sleep", "60"], timeout=timedelta(seconds=0.2))
    assert (await link.run(["echo", "back"], timeout=SOON)).out == "back\n"
    assert server.logins == 2


async def test_given_up_calls_release_their_channels(server: Server, links: Links) -> None:
    link = links.to(server.address)
    for _ in range(3):
        calls = [asyncio.create_task(link.run(["sleep", "60"], timeout=SOON)) for _ in range(12)]
        await asyncio.sleep(0.1)  # some run, some open, some stand in line
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    answers = await asyncio.gather(*(link.run(["echo", "x"], timeout=SOON) for _ in range(16)))
    assert {answer.out for answer in answers} == {"x\n"}
    assert server.logins == 1


@pytest.mark.parametrize("pause_s", [0, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016])
async def test_a_call_given_up_at_any_moment_harms_no_other(server: Server, links: Links, pause_s: float) -> None:
    link = links.to(server.address)
    for _ in range(20):
        call = asyncio.create_task(link.run(["true"], timeout=SOON))
        await asyncio.sleep(pause_s)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    assert (await link.run(["echo", "x"], timeout=SOON)).out == "x\n"
    await seen(lambda: [wire.busy for wire in link._wires] == [0])
    assert server.logins == 1


async def test_a_server_that_allows_fewer_sessions_is_named(server: Server, links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_args: object, **_kwargs: object) -> None:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")

    monkeypatch.setattr(asyncssh.SSHClientConnection, "create_session", refuse)
    with pytest.raises(Unreachable, match="accepts the login but no session"):
        await links.to(server.address).run(["true"], timeout=SOON)


async def test_another_host_key_is_refused_with_both_fingerprints_before_anything_is_sent(server: Server, links: Links) -> None:
    pinned = asyncssh.generate_private_key("ssh-ed25519")
    address = NodeAddress("n1", "127.0.0.1", server.port, "root", public(pinned))
    with pytest.raises(NodeFault) as caught:
        await links.to(address).run(["true"], timeout=SOON)
    assert caught.value.finding == "host-key"
    assert pinned.get_fingerprint() in caught.value.why
    assert server.key.get_fingerprint() in caught.value.why
    assert "enrol it again" in caught.value.why
    assert (server.lines, server.logins) == ([], 0)


async def test_a_host_key_of_another_kind_is_refused_too(server: Server, links: Links) -> None:
    pinned = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    address = NodeAddress("n1", "127.0.0.1", server.port, "root", public(pinned))
    with pytest.raises(NodeFault) as caught:
        await links.to(address).run(["true"], timeout=SOON)
    assert caught.value.finding == "host-key"
    assert server.logins == 0


@pytest.mark.parametrize("line", ["", "\n", "ssh-ed25519 nonsense"])
async def test_a_node_without_a_pinned_key_is_never_connected_to(server: Server, links: Links, line: str) -> None:
    with pytest.raises(NodeFault) as caught:
        await links.to(NodeAddress("n1", "127.0.0.1", server.port, "root", line)).run(["true"], timeout=SOON)
    assert caught.value.finding == "host-key"
    assert not server.open_now


async def test_of_two_pinned_keys_either_will_do(server: Server, links: Links) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    address = NodeAddress("n1", "127.0.0.1", server.port, "root", f"{public(other)}\n{public(server.key)}\n")
    assert (await links.to(address).run(["true"], timeout=SOON)).code == 0


async def test_a_refused_login_names_the_key_to_install(server: Server, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "other")
    links = Links(client_key=tmp_path / "other", clock=SystemClock(), rng=random.Random(1))
    with pytest.raises(NodeFault) as caught:
        await links.to(server.address).run(["true"], timeout=SOON)
    assert caught.value.finding == "auth"
    assert " ".join(public(key).split()[:2]) in caught.value.why
    await links.close()


async def test_a_node_that_is_down_is_unreachable_and_not_hammered(server: Server, links: Links) -> None:
    await server.stop_listening()
    link = links.to(server.address)
    with pytest.raises(Unreachable, match=r"n1 does not answer at 127\.0\.0\.1") as first:
        await link.run(["true"], timeout=SOON)
    assert timedelta(0) < first.value.after <= timedelta(seconds=0.5)
    with pytest.raises(Unreachable, match="not tried again yet"):
        await link.run(["true"], timeout=SOON)
    await server.listen()
    await asyncio.sleep(first.value.after.total_seconds())
    assert (await link.run(["echo", "up"], timeout=SOON)).out == "up\n"


async def test_the_pauses_grow_and_differ(server: Server, key_file: Path) -> None:
    await server.stop_listening()
    clock = Ticking()
    links = Links(client_key=key_file, clock=clock, rng=random.Random(7))
    pauses = []
    for _ in range(9):
        with pytest.raises(Unreachable) as caught:
            await links.to(server.address).run(["true"], timeout=SOON)
        pauses.append(caught.value.after.total_seconds())
        clock.at += pauses[-1] + 0.001
    for pause, most in zip(pauses, [0.5, 1, 2, 4, 8, 16, 30, 30, 30], strict=True):
        assert most / 2 <= pause <= most
    assert pauses[-1] != pauses[-2]
    await links.close()
    await server.listen()


async def test_who_gives_up_while_connecting_does_not_take_it_from_the_others(server: Server, links: Links) -> None:
    link = links.to(server.address)
    first, second = (asyncio.create_task(link.run(["echo", "x"], timeout=SOON)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).out == "x\n"
    assert server.logins == 1


async def test_who_asks_in_the_moment_a_connection_comes_up_gets_it(server: Server, links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    link = links.to(server.address)
    connect, company = asyncssh.connect, []

    async def connect_and_ask(*given: Any, **how: Any) -> asyncssh.SSHClientConnection:
        connection = await connect(*given, **how)
        company.append(asyncio.create_task(link.run(["echo", "second"], timeout=SOON)))  # its turn comes as soon as this one has ended
        return connection

    monkeypatch.setattr(asyncssh, "connect", connect_and_ask)
    assert (await link.run(["echo", "first"], timeout=SOON)).out == "first\n"
    assert (await company[0]).out == "second\n"


async def test_an_idle_connection_is_closed_and_opened_again(server: Server, key_file: Path) -> None:
    links = Links(client_key=key_file, clock=SystemClock(), rng=random.Random(1), idle=timedelta(seconds=0.05))
    await links.to(server.address).run(["true"], timeout=SOON)
    await seen(lambda: not server.open_now)
    await links.to(server.address).run(["true"], timeout=SOON)
    assert server.logins == 2
    await links.close()


async def test_a_long_call_is_not_taken_for_idle(server: Server, key_file: Path) -> None:
    links = Links(client_key=key_file, clock=SystemClock(), rng=random.Random(1), idle=timedelta(seconds=0.05))
    await links.to(server.address).run(["sleep", "0.3"], timeout=SOON)
    assert server.logins == 1
    await links.close()


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")  # all that OpenSSH before 5.7 (CentOS 6) has
async def test_an_old_sshd_is_spoken_to(server: Server, links: Links) -> None:
    await server.stop_listening()
    server.key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    server.port = 0
    await server.listen(  # what OpenSSH 4.3 of CentOS 5 has
        kex_algs=["diffie-hellman-group14-sha1"],
        encryption_algs=["aes128-ctr"],
        mac_algs=["hmac-sha1"],
        signature_algs=["ssh-rsa", "ssh-ed25519"],
    )
    assert (await links.to(server.address).run(["echo", "old"], timeout=SOON)).out == "old\n"


async def test_scan_tells_line_fingerprint_and_algorithm_without_logging_in(server: Server) -> None:
    key = await scan_host_key("127.0.0.1", server.port, timeout=SOON)
    assert key.line == " ".join(public(server.key).split()[:2])
    assert key.fingerprint == server.key.get_fingerprint()
    assert key.fingerprint.startswith("SHA256:")
    assert key.algorithm == "ssh-ed25519"
    assert server.logins == 0


async def test_scan_of_what_never_answers_ends_in_time(server: Server) -> None:
    writers = []
    silent = await asyncio.start_server(lambda _reader, writer: writers.append(writer), "127.0.0.1", 0)
    began = time.monotonic()
    with pytest.raises(Unreachable, match="check address, port and firewall"):
        await scan_host_key("127.0.0.1", silent.sockets[0].getsockname()[1], timeout=timedelta(seconds=0.2))
    assert time.monotonic() - began < 2
    for writer in writers:
        writer.close()
    silent.close()


def test_a_worker_without_a_key_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="make one with `ssh-keygen"):
        Links(client_key=tmp_path / "none", clock=SystemClock(), rng=random.Random(1))


def test_our_own_programs_are_found_under_the_nodes_root() -> None:
    assert one_line(["vzq-ct", "look", "101"]) == 'exec "${VZQ_NODE_ROOT-}"/var/lib/vzq/bin/vzq-ct look 101'
    assert one_line(["vzctl", "a b"]) == "exec vzctl 'a b'"


def test_nothing_else_in_workers_quotes_for_a_shell() -> None:
    word = re.compile(r"\bshlex\b|\bquote\(|known_hosts=None|shell=True|os\.system|create_subprocess_shell")
    guilty = {str(file.relative_to(ROOMS)) for file in (ROOMS / "workers").rglob("*.py") if word.search(file.read_text())}
    assert guilty == {"workers/transport/ssh.py"}
    assert Path(ssh.__file__).read_text().count("shlex.") == 1


class Ticking:
    """A clock that only moves when told."""

    at = 100.0

    def monotonic(self) -> float:
        return self.at


async def seen(look: object) -> None:
    """Wait in the loop until `look` is true."""
    end = time.monotonic() + 10
    while not look():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(0.005)
