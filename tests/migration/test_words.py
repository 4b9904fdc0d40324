"""What is said to the nodes of a move, and what vzmigrate's answers mean: against what the real one printed."""

import re

import pytest

from models.errors import JobError, Locked, Permanent, Retryable, Unexpected, Unsure
from tests.openvz.recordings import MOVES, recorded, recordings
from workers.commands import Command, Finished
from workers.openvz.exit_codes import error_of, judge
from workers.openvz.vzmigrate import HARMLESS, STAGES, Judged, Vzmigrate, Way, stage_of
from workers.transport.ssh import NodeAddress

pytestmark = pytest.mark.quick
JOB, MARK = "01JD0000000000000000000000", "01JD0000000000000000000001"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHb0N7d0bJ9q"
TARGET = NodeAddress("n2", "192.0.2.12", 2222, "root", KEY)


def words(**given: object) -> Vzmigrate:
    fields: dict[str, object] = {"ctid": 207, "job": JOB, "mark": MARK, "target": TARGET} | given
    return Vzmigrate(Way(**fields))  # type: ignore[arg-type]


def test_vzmigrate_keeps_the_source_and_trusts_nobody_but_the_pinned_key() -> None:
    command = words().migrate(online=True, folder="/var/lib/vzq/move/X", judged="move")
    assert list(command.argv[:5]) == ["vzmigrate", "-r", "no", "-v", "--online"]
    assert list(command.argv[-2:]) == ["192.0.2.12", "207"]
    ssh = command.argv[5].removeprefix("--ssh=")
    assert ssh.startswith("-p 2222 -i /var/lib/vzq/move/X/key -o IdentitiesOnly=yes")
    for option in ("UserKnownHostsFile=/var/lib/vzq/move/X/known_hosts", f"HostKeyAlias=vzq-{JOB}", "StrictHostKeyChecking=yes",
                   "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3"):  # fmt: skip
        assert f"-o {option}" in ssh
    assert "--online" not in words().migrate(online=False, folder="/var/lib/vzq/move/X", judged="move").argv


@pytest.mark.parametrize("mux", [True, False])
def test_one_ssh_connection_is_kept_where_the_tool_can(mux: bool) -> None:
    assert ("--ssh-mux" in words(mux=mux).migrate(online=True, folder="/var/lib/vzq/move/X", judged="move").argv) is mux


def test_a_path_may_hold_what_scp_takes_for_its_port() -> None:
    command = words().migrate(online=True, folder="/srv/node-p1/move", judged="move")
    scp = command.argv[5].removeprefix("--ssh=").replace("-p", "-P", 1)  # as vzmigrate makes it
    assert scp.startswith("-P 2222 -i /srv/node-p1/move/key ")


@pytest.mark.parametrize(
    "given",
    [
        {"ctid": 7}, {"job": "../etc"}, {"mark": "x"}, {"target": NodeAddress("n2", "a b", 22, "root", KEY)},
        {"target": NodeAddress("n2", "-oProxyCommand=x", 22, "root", KEY)},
    ],
)  # fmt: skip
def test_words_that_are_not_on_the_whitelist_are_never_sent(given: dict[str, object]) -> None:
    with pytest.raises(Permanent):
        words(**given)


@pytest.mark.parametrize("key", ["", "ssh-ed25519", 'ssh-ed25519 AAAA" x', "ssh-rsa $(id)AAAAAAAAAAAAAAAA"])
def test_a_key_that_is_none_is_never_sent(key: str) -> None:
    with pytest.raises(Permanent):
        words(target=NodeAddress("n2", "192.0.2.12", 22, "root", key)).ready()
    with pytest.raises(Permanent):
        words().authorize(key=key, address="192.0.2.11", layout="simfs")


def test_every_recorded_line_of_a_stage_is_known_in_its_order() -> None:
    for file, line in [("migrate-online-v", "vzmigrate --online -v 10.99.0.11 207"), ("migrate-offline-v", "vzmigrate -v 10.99.0.12 207")]:
        lines = recorded(file, line, MOVES).out.splitlines()
        seen = [stage_of("\n".join(lines[: number + 1])) for number in range(len(lines))]
        assert seen[-1] == "Cleaning up"
        far = [STAGES.get(stage, 0.0) for stage in seen]
        assert far == sorted(far)
        assert len(set(seen)) >= 6


def test_until_the_container_notices_anything_a_move_may_be_ended() -> None:
    lines = recorded("migrate-online-v", "vzmigrate --online -v 10.99.0.11 207", MOVES).out.splitlines()
    frozen = lines.index("Live migrating container...")
    assert stage_of("\n".join(lines[:frozen])) in HARMLESS
    assert stage_of("\n".join(lines[: frozen + 1])) not in HARMLESS


CODES: list[tuple[int, type[JobError]]] = [
    (1, Permanent), (2, Retryable), (4, Retryable), (6, Retryable), (7, Permanent), (8, Permanent), (9, Retryable), (10, Permanent), (12, Permanent),
    (13, Retryable), (14, Permanent), (15, Permanent), (16, Permanent), (17, Permanent), (18, Permanent), (19, Permanent), (20, Locked),
    (137, Unsure), (143, Unsure), (99, Unexpected),
]  # fmt: skip


def moved(judged: Judged) -> Command:
    return words().migrate(online=True, folder="/m", judged=judged)


@pytest.mark.parametrize(("code", "error"), CODES)
def test_each_exit_code_of_the_last_try_has_its_class(code: int, error: type[JobError]) -> None:
    with pytest.raises(JobError) as caught:
        judge(moved("move"), Finished(code, "", ""))
    assert type(caught.value) is error


@pytest.mark.parametrize(("judged", "codes"), [("move-again", {7, 8}), ("move-or-offline", {7, 8, 14, 17, 18})])
def test_where_something_may_still_be_tried_a_failure_is_no_end(judged: Judged, codes: set[int]) -> None:
    for code, _ in CODES:
        last, now = error_of(moved("move"), Finished(code, "", "")), error_of(moved(judged), Finished(code, "", ""))
        assert type(now) is (Retryable if code in codes else type(last)), code


def test_no_recorded_move_ended_with_a_code_that_is_not_known() -> None:
    seen = 0
    for path in sorted(MOVES.glob("migrate-*.txt")):
        for run in recordings(path.stem, MOVES):
            if re.fullmatch(r"vzmigrate [^;&|]*", run.line) and run.answer.code > 0:
                assert not isinstance(error_of(moved("move"), run.answer), Unexpected), (path.stem, run.line)
                seen += 1
    assert seen >= 8


def test_the_node_s_own_sentence_is_told() -> None:
    answer = recorded("migrate-online-inflight-connection-fails", "vzmigrate --online -t --ssh-mux 10.99.0.11 207", MOVES)
    with pytest.raises(Retryable, match="Failed to dump container"):
        judge(moved("move-again"), answer)


def test_an_old_vzmigrate_that_ends_with_1_after_its_last_word_has_done_it_all() -> None:
    told = recorded("migrate-online-v", "vzmigrate --online -v 10.99.0.11 207", MOVES).out
    judge(moved("move-again"), Finished(1, told, ""))
    with pytest.raises(Permanent):
        judge(moved("move-again"), Finished(1, told[: told.index("Cleaning up")], ""))
