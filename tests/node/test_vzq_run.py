"""vzq-run, called as sshd would call it."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.node.box import Box, until

OTHER_BOOT = "99999999-8888-7777-6666-555555555555"


def test_a_command_is_started_and_its_answer_handed_back_byte_by_byte(box: Box) -> None:
    answer = box.begin("make", "sh", "-c", "printf 'a\\n\\nb\\n\\n'; printf 'e \\377 \\\\n' >&2; exit 3")
    assert answer.code == 0
    words = dict(word.split("=") for word in answer.head.split()[1:])
    assert answer.head.startswith("done ")
    assert (words["rc"], words["out"], words["err"], words["out_cut"], words["err_cut"]) == ("3", "6", "6", "0", "0")
    assert answer.body == b"a\n\nb\n\ne \xff \\n"


def test_the_seconds_are_those_of_the_command(box: Box) -> None:
    words = dict(word.split("=") for word in box.begin("nap", "sleep", "0.3").head.split()[1:])
    assert 0.25 <= float(words["seconds"]) < 1.5


def test_a_second_begin_attaches(box: Box) -> None:
    witness = box.root / "witness"
    first = box.begin("make", "sh", "-c", f"echo ran >>{witness}; echo out")
    second = box.begin("make", "sh", "-c", f"echo ran >>{witness}; echo other")
    assert second.head == first.head
    assert second.body == first.body == b"out\n"
    assert witness.read_text() == "ran\n"


def test_another_try_is_another_run(box: Box) -> None:
    witness = box.root / "witness"
    for attempt in (1, 2):
        box.begin("make", "sh", "-c", f"echo ran >>{witness}", attempt=attempt)
    assert witness.read_text() == "ran\nran\n"


def test_a_lower_token_is_refused_and_starts_nothing(box: Box) -> None:
    box.begin("make", "true", token=7)
    witness = box.root / "witness"
    assert box.begin("start", "touch", str(witness), token=6).head == "refused highest=7"
    assert box.attach("make", token=6).head == "refused highest=7"
    assert box.cancel("make", token=6).head == "refused highest=7"
    assert box.ask("fence", 101, 6, "J1").head == "refused highest=7"
    assert not witness.exists()


def test_another_containers_tokens_do_not_matter(box: Box) -> None:
    box.begin("make", "true", token=7)
    assert box.ask("begin", 102, 3, "J2", "make", "do", 1, 5, 0, "--", "true").head.startswith("done rc=0")
    assert box.ask("highest").head == "highest 7"


def test_fence_raises_the_token_and_lists_what_the_job_began(box: Box) -> None:
    box.begin("make", "false")
    box.begin("start", "sleep", "30", wait=0)
    box.begin("other", "true", job="J2")
    box.attach("never")
    answer = box.ask("fence", 101, 9, "J1")
    assert answer.head == "ledger highest=9 runs=3"
    assert sorted(answer.body.decode().splitlines()) == [
        "J1 make do 1 5 done rc=1",
        "J1 never do 1 0 void",
        "J1 start do 1 5 running",
    ]
    assert box.begin("start", "true").head == "refused highest=9"


def test_ledger_tells_all_jobs_of_a_container(box: Box) -> None:
    assert box.ask("ledger", 101).head == "ledger highest=0 runs=0"
    box.begin("make", "true")
    box.begin("other", "true", job="J2", token=6)
    answer = box.ask("ledger", 101)
    assert answer.head == "ledger highest=6 runs=2"
    assert answer.body.decode().splitlines() == ["J1 make do 1 5 done rc=0", "J2 other do 1 6 done rc=0"]


def test_attach_to_what_never_began_seals_it(box: Box) -> None:
    witness = box.root / "witness"
    assert box.attach("make").head == "void"
    assert box.begin("make", "touch", str(witness)).head == "void"
    assert box.attach("make").head == "void"
    assert not witness.exists()


def test_the_command_outlives_its_waiter(box: Box) -> None:
    waiter = box.start("begin", 101, 5, "J1", "make", "do", 1, 20, 0, "--", "sh", "-c", "sleep 0.5; echo out; exit 4")
    until((box.folder("make") / "out").exists)
    os.killpg(waiter.pid, signal.SIGKILL)
    assert box.attach("make", wait=0).head == "running"
    answer = box.attach("make")
    assert answer.head.startswith("done rc=4 ")
    assert answer.body == b"out\n"


def test_the_end_is_reported_at_once(box: Box) -> None:
    go = box.root / "go"
    os.mkfifo(go)
    waiter = box.start("begin", 101, 5, "J1", "make", "do", 1, 20, 0, "--", "sh", "-c", f"read x <{go}")
    until((box.folder("make") / "out").exists)
    other = box.start("attach", 101, 5, "J1", "make", "do", 1, 20)
    time.sleep(0.1)  # both wait by now; were they not, the test would only be easier
    went = time.monotonic()
    go.write_text("now\n")
    assert box.end(waiter).head.startswith("done rc=0")
    took = time.monotonic() - went
    assert box.end(other).head.startswith("done rc=0")
    assert took < 0.5  # a poll of a second would show


def test_a_killed_command_and_keeper_have_vanished(box: Box) -> None:
    box.begin("make", "sleep", "60", wait=0)
    os.killpg(box.keeper("make"), signal.SIGKILL)
    until(lambda: box.attach("make", wait=0).head != "running")
    assert box.attach("make").head == "vanished boot=same"
    assert "J1 make do 1 5 vanished boot=same" in box.ask("fence", 101, 5, "J1").body.decode()


def test_a_command_that_a_signal_ended_has_the_shells_code(box: Box) -> None:
    assert box.begin("make", "sh", "-c", "kill -9 $$").head.startswith("done rc=137 ")


def test_a_command_whose_keeper_was_killed_still_runs(box: Box) -> None:
    witness = box.root / "witness"
    box.begin("make", "sh", "-c", f"sleep 1; touch {witness}", wait=0)
    until((box.folder("make") / "out").exists)  # else the keeper would die before it starts anything
    os.kill(box.keeper("make"), signal.SIGKILL)
    assert box.attach("make", wait=0).head == "running"
    assert box.attach("make").head == "vanished boot=same"
    assert witness.exists()  # it was waited out


def test_after_a_reboot_what_ran_has_vanished_and_what_ended_is_known(box: Box) -> None:
    box.begin("quick", "sh", "-c", "exit 6")
    box.begin("make", "sleep", "60", wait=0)
    os.killpg(box.keeper("make"), signal.SIGKILL)
    box.reboot(OTHER_BOOT)
    assert until(lambda: (head := box.attach("make").head) != "running" and head) == "vanished boot=other"
    assert box.attach("quick").head.startswith("done rc=6 ")


def test_a_power_cut_that_ate_the_pid_is_not_called_never_begun(box: Box) -> None:
    box.begin("make", "true")
    (box.folder("make") / "state").write_bytes(b"")  # what a journal without our data leaves
    box.reboot(OTHER_BOOT)
    assert box.attach("make").head == "vanished boot=other"
    assert box.begin("make", "true").head == "vanished boot=other"


def test_cancel_ends_the_whole_session(box: Box) -> None:
    script = "sleep 61 & timeout 62 sleep 62 & (trap '' TERM; sleep 63; sleep 63) & echo up; wait"  # own group; deaf to TERM
    box.begin("make", "sh", "-c", script, wait=0)
    out = box.folder("make") / "out"
    until(lambda: out.exists() and out.read_text() == "up\n")
    until(lambda: len(_session(box.keeper("make"))) >= 6)
    session = box.keeper("make")
    answer = box.cancel("make", grace=1)
    assert answer.head == "killed"
    assert _session(session) == []
    assert box.attach("make").head == "killed"
    assert box.begin("make", "true").head == "killed"
    assert "J1 make do 1 5 killed" in box.ask("fence", 101, 5, "J1").body.decode()


def test_a_command_that_ends_orderly_on_term_keeps_its_exit_code(box: Box) -> None:
    box.begin("make", "sh", "-c", "trap 'echo tidied; exit 41' TERM; echo up; while :; do sleep 0.05; done", wait=0)
    out = box.folder("make") / "out"
    until(lambda: out.exists() and out.read_text() == "up\n")
    answer = box.cancel("make")
    assert answer.head.startswith("done rc=41 ")
    assert b"tidied\n" in answer.body


def test_cancel_of_an_ended_run_answers_as_attach(box: Box) -> None:
    box.begin("make", "sh", "-c", "exit 3")
    assert box.cancel("make").head.startswith("done rc=3 ")


def test_cancel_of_what_never_began_seals_it(box: Box) -> None:
    assert box.cancel("make").head == "void"
    assert box.begin("make", "true").head == "void"


def test_input_reaches_the_command_exactly(box: Box) -> None:
    text = "root:päss \\n 'x' \"$y\"\n\n".encode()
    answer = box.begin("password", "cat", stdin=text)
    assert answer.head.startswith("done rc=0 ")
    assert answer.body == text


def test_long_input_reaches_the_command_exactly(box: Box) -> None:
    text = b"".join(b"line %d\n" % n for n in range(20_000))
    answer = box.begin("script", "sh", "-c", "wc -c; :", stdin=text)
    assert answer.body.strip() == str(len(text)).encode()


def test_a_command_need_not_read_its_input(box: Box) -> None:
    assert box.begin("deaf", "true", stdin=b"x" * 300_000).head.startswith("done rc=0 ")


def test_short_input_begins_nothing(box: Box) -> None:
    witness = box.root / "witness"
    answer = box.ask("begin", 101, 5, "J1", "password", "do", 1, 5, 20, "--", "touch", witness, stdin=b"only this")
    assert answer.code == 75
    assert "only 9 of 20 bytes" in answer.err
    assert not witness.exists()
    assert not box.folder("password").exists()
    assert box.begin("password", "cat", stdin=b"whole\n").body == b"whole\n"  # the same key may still begin


def test_input_that_hangs_bars_nobody_from_the_ledger(box: Box) -> None:
    box.start("begin", 101, 5, "J1", "password", "do", 1, 5, 20, "--", "cat")  # its link never sends anything
    began = time.monotonic()
    assert box.ask("fence", 101, 6, "J1").head == "ledger highest=6 runs=0"
    assert time.monotonic() - began < 5


def test_without_input_the_command_reads_nothing(box: Box) -> None:
    assert box.begin("cat", "cat").head.startswith("done rc=0 ")


def test_a_secret_is_in_no_file_and_no_argument(box: Box) -> None:
    secret = b"tr0ub4dor-and-3\n"
    box.start("begin", 101, 5, "J1", "password", "do", 1, 20, len(secret), "--", "sh", "-c", "read x; sleep 0.5", "quiet").stdin.write(secret)
    box.started[-1].stdin.flush()
    until((box.folder("password") / "out").exists)
    seen = subprocess.run(["ps", "axeww", "-o", "args"], capture_output=True, check=True).stdout
    assert b"vzq-keep" in seen
    assert secret.strip() not in seen
    assert box.attach("password").head.startswith("done rc=0 ")
    files = [file for file in box.root.rglob("*") if file.is_file()]
    assert len(files) >= 5
    assert not [file for file in files if secret.strip() in file.read_bytes()]


def test_big_output_is_cut_to_its_end(box: Box) -> None:
    answer = box.begin("flood", "sh", "-c", "seq 1 60000; echo end; seq 1 100 >&2")
    words = dict(word.split("=") for word in answer.head.split()[1:])
    whole = "".join(f"{n}\n" for n in range(1, 60_001)) + "end\n"
    assert int(words["out"]) == 262_144
    assert int(words["out_cut"]) == len(whole) - 262_144
    assert answer.body == whole[-262_144:].encode() + b"".join(b"%d\n" % n for n in range(1, 101))


INTERNAL = 0b11 << 31  # signals 32 and 33 are the C library's own; what started the tests may have blocked them


def test_the_command_gets_a_clean_place_to_run_in(box: Box) -> None:
    script = "pwd; umask; echo $LC_ALL; echo $PATH; ps -o sid=,pgid= -p $$"
    lines = box.begin("look", "sh", "-c", script).body.decode().splitlines()
    assert lines[0] == str(box.root)
    assert lines[1].endswith("022")
    assert lines[2] == "C"
    assert lines[3].endswith(f":{box.home}/bin")
    assert {"/usr/sbin", "/sbin"} <= set(lines[3].split(":"))
    assert lines[4].split() == [str(box.keeper("look"))] * 2
    descriptors = box.begin("descriptors", "ls", "/proc/self/fd").body.split()
    assert descriptors == [b"0", b"1", b"2", b"3"]  # 3 is ls's own: none of the lock, the ledger or the ssh session
    signals = box.begin("signals", "grep", "-E", "SigIgn|SigBlk", "/proc/self/status").body.decode().splitlines()
    masks = [int(line.split()[1], 16) & ~INTERNAL for line in signals]
    assert masks == [0, 0]  # a job started with `&` would ignore SIGINT


def test_words_that_the_shell_knows_are_programs_all_the_same(box: Box) -> None:
    assert box.begin("a", "exit", "7").head.startswith("done rc=127 ")
    assert box.begin("b", "echo", "-n", "$HOME", "`x`", "*").body == b"$HOME `x` *"
    assert box.begin("c", "no-such-program").head.startswith("done rc=127 ")


def test_a_daemon_that_the_command_left_does_not_count(box: Box) -> None:
    answer = box.begin("daemon", "sh", "-c", "setsid sleep 60 & echo started", wait=10)
    assert answer.head.startswith("done rc=0 ")
    assert answer.body == b"started\n"


def test_sweep_takes_what_ended_long_ago_and_keeps_the_ledger(box: Box) -> None:
    for step in ("old", "fresh"):
        box.begin(step, "true")
    box.attach("void")
    box.begin("running", "sleep", "60", wait=0)
    box.keeper("running")
    past = time.time() - 8 * 86_400
    for step, file in (("old", "state"), ("void", "void"), ("running", "state")):
        os.utime(box.folder(step) / file, (past, past))
    assert box.ask("sweep", 7).head == "swept 2"
    assert sorted(run.name for run in (box.home / "runs/J1").iterdir()) == ["101.fresh.do.1", "101.running.do.1"]
    assert "J1 old do 1 5 swept" in box.ask("ledger", 101).body.decode()
    assert box.attach("old").head == "vanished boot=swept"  # it did begin, so never "void"
    assert [entry.name for entry in (box.home / "runs").iterdir()] == ["J1"]


def test_the_ledger_survives_a_torn_last_line(box: Box) -> None:
    box.begin("make", "true")
    ledger = box.home / "ledger/101"
    with ledger.open("ab") as file:
        file.write(b"\nbegun J1 torn do 1 99")
    assert box.begin("start", "true", token=6).head.startswith("done rc=0")
    answer = box.ask("ledger", 101)
    assert answer.head == "ledger highest=6 runs=2"
    assert [line.split()[1] for line in answer.body.decode().splitlines()] == ["make", "start"]


@pytest.mark.parametrize("header", [b"", b"highest 5", b"\0" * 28 + b"\n"])
def test_a_ledger_whose_header_was_lost_goes_by_its_lines(box: Box, header: bytes) -> None:
    box.begin("make", "true", token=8)
    ledger = box.home / "ledger/101"
    lines = ledger.read_bytes().split(b"\n", 1)[1]
    ledger.write_bytes(header + lines)
    assert box.begin("start", "true", token=7).head == "refused highest=8"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("dance",),
        ("begin", "101", "5", "J1", "make", "do", "1", "5", "0", "--"),
        ("begin", "101", "5", "J1", "make", "do", "1", "5", "0", "++", "true"),
        ("begin", "101", "5", "J1", "make", "redo", "1", "5", "0", "--", "true"),
        ("begin", "../101", "5", "J1", "make", "do", "1", "5", "0", "--", "true"),
        ("begin", "101", "5", "J1", "ma ke", "do", "1", "5", "0", "--", "true"),
        ("begin", "101", "5x", "J1", "make", "do", "1", "5", "0", "--", "true"),
        ("begin", "101", "010", "J1", "make", "do", "1", "5", "0", "--", "true"),
        ("begin", "101", "1234567890123456789", "J1", "make", "do", "1", "5", "0", "--", "true"),
        ("begin", "101", "5", "J" * 65, "make", "do", "1", "5", "0", "--", "true"),
        ("begin", "101", "5", "J1", "make", "do", "1", "5", "0", "--", "-c"),
        ("attach", "101", "5", "J1", "make", "do", "1"),
        ("fence", "101", "5"),
        ("sweep", "0"),
    ],
)
def test_what_is_not_in_the_contract_is_usage_and_leaves_no_trace(dash_box: Box, words: tuple[str, ...]) -> None:
    answer = dash_box.ask(*words)
    assert answer.code == 64
    assert answer.err.startswith("vzq-run: ")
    assert not dash_box.home.exists()


def test_a_full_disk_begins_nothing(dash_box: Box) -> None:
    small = dash_box.root / "var"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no right to mount here: the full disk is NOT tested")
    try:
        dash_box.begin("first", "true")
        filler = small / "filler"
        with filler.open("wb") as file, pytest.raises(OSError, match="No space"):
            file.write(b"x" * 200_000)
        witness = dash_box.root / "witness"
        answer = dash_box.begin("second", "touch", str(witness))
        assert answer.code == 75
        assert not witness.exists()
        filler.unlink()
        assert dash_box.begin("second", "touch", str(witness)).head.startswith("done rc=0")
        assert witness.exists()
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_a_disk_that_fills_up_meanwhile_costs_no_exit_code(dash_box: Box) -> None:
    small = dash_box.root / "var"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", small], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no right to mount here: the full disk is NOT tested")
    try:
        answer = dash_box.begin("fill", "sh", "-c", f"dd if=/dev/zero of={small}/filler bs=4k 2>/dev/null; exit 46")
        assert answer.head.startswith("done rc=46 ")
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_version_and_highest_work_on_a_bare_node(box: Box) -> None:
    assert box.ask("version").head == "version 1"
    assert box.ask("highest").head == "highest 0"
    assert box.ask("sweep", 7).head == "swept 0"


def _session(sid: int) -> list[int]:
    members = []
    for entry in Path("/proc").iterdir():
        try:
            state, _, _, session = (entry / "stat").read_text().rpartition(") ")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(session) == sid and state not in "ZX":
            members.append(int(entry.name))
    return members
