"""Exit codes by command and code: the whole table, and what the recorded tools really said."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import AddressTaken, AlreadyDone, JobError, Locked, NodeFault, Permanent, Retryable, Taken, Unexpected, Unsure
from tests.openvz.recordings import FOLDER, recorded, recordings
from workers.commands import Command, Finished
from workers.openvz.exit_codes import COMMAND, VZCTL, error_of, judge
from workers.openvz.texts import last_line, signature_of
from workers.openvz.vzctl import Vzctl

pytestmark = pytest.mark.quick

DRIVER = Vzctl()
JOB = "01JD0000000000000000000000"

# facts §3.1, a letter a class; where two classes are possible, the one that was chosen.
CLASSES: dict[type[JobError], set[int]] = {
    Locked: {9},
    Retryable: {6, 15, 33, 50, 51, 52, 66, 68, 100, 153, 154, 155, 156, 157, 158, 159, 160, 161, 166, 167},
    Permanent: {1, 12, 13, 14, 20, 21, 27, 28, 29, 31, 32, 35, 36, 43, 47, 55, 63, 64, 67, 70, 71, 72, 73, 74, 79, 82, 85, 86, 89, 91, 99,
                105, 106, 109},
    NodeFault: {2, 5, 7, 10, 11, 18, 22, 23, 24, 34, 46, 48, 49, 53, 54, 60, 61, 62, 65, 77, 87, 104, 107, 108, 127, 129, 130, 139, 144, 148,
                151, 152},
    Unsure: {3, 16, 17, 40, 41, 133, 137, 143, 150},
    Taken: {44, 78, 131},
}  # fmt: skip


def test_every_code_of_the_table_has_its_class() -> None:
    expected = {code: error for error, codes in CLASSES.items() for code in codes}
    assert {code: meaning.error for code, meaning in VZCTL.items()} == expected


def test_a_meaning_says_what_happened_and_what_to_do() -> None:
    for meaning in [*VZCTL.values(), *COMMAND.values()]:
        assert meaning.cause
        assert meaning.now
        assert bool(meaning.finding) == (meaning.error is NodeFault)


START, STOP, DESTROY, UMOUNT = DRIVER.start(101), DRIVER.stop(101), DRIVER.destroy(101), DRIVER.umount(101)
LIVENESS, PASSWORD, SET = DRIVER.exec_true(101), DRIVER.set_password(101, "root", "long-enough"), DRIVER.set_onboot(101, onboot=True)
PLANT, CLEAN, UNPLANT = DRIVER.plant(101, JOB, sample="basic", layout="simfs"), DRIVER.clean(101, JOB), DRIVER.unplant(101, JOB)
CREATE = Command("create", ["vzctl", "create", "101", "--ostemplate", "debian-12"])
OVERRIDES = [
    (CREATE, 82, Taken), (CREATE, 44, Taken), (CREATE, 46, NodeFault), (CREATE, 91, Permanent), (CREATE, 9, Locked), (CREATE, 131, Taken),
    (CREATE, 3, Unsure), (CREATE, 99, Permanent), (CREATE, 48, NodeFault), (CREATE, 137, Unsure), (CREATE, 127, NodeFault), (CREATE, 14, Unsure),
    (START, 32, AlreadyDone), (START, 14, Permanent), (START, 31, Permanent), (START, 47, Permanent), (START, 43, Permanent),
    (START, 7, NodeFault), (START, 105, Permanent), (START, 133, Unsure),
    (STOP, 31, AlreadyDone), (STOP, 40, AlreadyDone), (STOP, 33, Retryable), (STOP, 14, Permanent),
    (DESTROY, 14, AlreadyDone), (DESTROY, 32, Retryable), (DESTROY, 41, Retryable), (DESTROY, 9, Locked),
    (UMOUNT, 40, AlreadyDone), (UMOUNT, 51, Retryable), (UMOUNT, 32, Retryable),
    (SET, 131, Taken), (SET, 78, Taken), (SET, 28, Permanent), (SET, 100, Retryable),
    (LIVENESS, 31, Retryable), (LIVENESS, 7, Retryable), (LIVENESS, 3, Retryable), (LIVENESS, 14, Permanent), (LIVENESS, 47, Permanent),
    (PASSWORD, 31, Permanent), (PASSWORD, 7, Retryable), (PASSWORD, 1, Permanent), (PASSWORD, 127, Permanent), (PASSWORD, 46, Unexpected),
    (PLANT, 17, Taken), (PLANT, 66, Permanent), (PLANT, 74, NodeFault), (PLANT, 127, NodeFault), (CLEAN, 9, Locked), (CLEAN, 17, Taken),
    (CLEAN, 75, Retryable), (CLEAN, 16, Unexpected), (UNPLANT, 9, Locked), (UNPLANT, 17, Taken), (UNPLANT, 16, Unexpected),
    (START, 250, Unexpected), (CREATE, 8, Unexpected), (DRIVER.listing(), 1, Unexpected), (LIVENESS, 200, Unexpected),
]  # fmt: skip


@pytest.mark.parametrize(("command", "code", "error"), OVERRIDES, ids=lambda value: getattr(value, "name", getattr(value, "__name__", value)))
def test_a_code_means_what_it_means_for_this_command(command: Command, code: int, error: type[JobError]) -> None:
    with pytest.raises(JobError) as caught:
        judge(command, Finished(code, "", ""))
    assert type(caught.value) is error


def test_exit_0_passes_with_warnings_on_stderr() -> None:
    judge(START, recorded("start-with-ip", "vzctl start 207 --wait"))


@pytest.mark.parametrize(
    ("file", "line", "error", "says"),
    [
        ("create-exists", "vzctl create 201 --ostemplate busybox-mini-x86_64 --config vswap-256m", Taken, "already exists"),
        ("create-missing-template", "vzctl create 202 --ostemplate no-such-template --config vswap-256m", Permanent, "no-such-template"),
        ("create-bad-layout", "vzctl create 204 --ostemplate busybox-mini-x86_64 --layout ploop", Permanent, "No ploop support in the kernel"),
        ("create-name-in-use", "vzctl create 206 --ostemplate busybox-mini-x86_64 --name alpha", Taken, "Conflict: name alpha"),
        ("disk-full-create", "vzctl create 404 --ostemplate debian-12-x86_64-minbase", NodeFault, "Insufficient disk space"),
        ("start-running", "vzctl start 205", AlreadyDone, "already running"),
        ("start-missing", "vzctl start 999", Permanent, "config file does not exist"),
        ("destroy-running", "vzctl destroy 201", Retryable, "currently running"),
        ("destroy-missing", "vzctl destroy 998", AlreadyDone, "does not exist"),
        ("stop-missing", "vzctl stop 998", Permanent, "does not exist"),
        ("set-bad-params", "vzctl set 207 --ram lots --save", Permanent, "Bad parameter for --ram"),
        ("set-ipadd-running", "vzctl set 207 --ipdel all --save", Retryable, "/proc/vz/veinfo"),
        ("exec-not-running", "vzctl exec2 208 true", Permanent, "not running"),
        ("exec2-notfound", "vzctl exec2 207 nosuchcmd", Unexpected, "nosuchcmd: not found"),
        ("mount-umount", "vzctl umount 201", None, ""),
        ("suspend-suspended", "vzctl suspend 207", Permanent, "not running"),
        ("resume-running", "vzctl resume 207", AlreadyDone, "already running"),
        ("vzctl-misc", "vzctl frobnicate 201", Permanent, "Bad command"),
        ("stop-stopped", "vzctl stop 201", None, ""),
    ],
)
def test_a_recorded_failure_is_told_with_its_telling_line(file: str, line: str, error: type[JobError] | None, says: str) -> None:
    command, answer = Command(line.split()[1], line.split()), recorded(file, line)
    if error is None:
        judge(command, answer)
        return
    with pytest.raises(JobError) as caught:
        judge(command, answer)
    assert type(caught.value) is error
    assert says in caught.value.why


def test_no_recorded_single_command_is_unknown() -> None:
    """Whatever the real vzctl answered in the recordings is in the table, but for what a command inside answered."""
    simple = re.compile(r"vzctl (create|set|start|stop|destroy|mount|umount|suspend|resume|snapshot\S*|compact|convert) [^;&|]*")
    seen = 0
    for file in sorted(path.stem for path in FOLDER.glob("*.txt")):
        for run in recordings(file):
            if simple.fullmatch(run.line) and run.answer.code > 0:
                command = Command(run.line.split()[1], run.line.split())
                assert not isinstance(error_of(command, run.answer), Unexpected), (file, run.line)
                seen += 1
    assert seen > 20


def test_the_holder_of_a_lock_is_named() -> None:
    answer = Finished(9, "", "Locked by: pid 2341, cmdline vzctl stop 207\nContainer already locked\n")
    with pytest.raises(Retryable, match="pid 2341, cmdline vzctl stop 207"):
        judge(START, answer)


def test_success_leaves_no_line_to_show() -> None:
    for file, line in [
        ("start-with-ip", "vzctl start 207 --wait"),
        ("destroy-ok", "vzctl umount 201; vzctl destroy 201"),
        ("stop-ok", "vzctl stop 201"),
    ]:
        assert last_line(START, recorded(file, line)) in ("", "Container started successfully", "Container private area was destroyed")


def test_a_finding_names_the_fault() -> None:
    with pytest.raises(NodeFault) as caught:
        judge(CREATE, recorded("disk-full-create", "vzctl create 404 --ostemplate debian-12-x86_64-minbase"))
    assert caught.value.finding == "disk-full"


def test_equal_failures_have_equal_signatures() -> None:
    texts = [f"cannot open /vz/private/{n}/x: error {n} in 6e4c2a2c-9e54-4f60-9a3c-{n}, name 'web{n}' at 10.0.0.{n}" for n in (101, 102)]
    one, two = (signature_of(START, Finished(222, "", text)) for text in texts)
    assert one == two
    assert "cannot open" in one
    assert one != signature_of(START, Finished(223, "", texts[0]))
    assert one != signature_of(START, Finished(222, "", "something else"))


@settings(deadline=None)  # a busy machine is no fault
@given(st.text(max_size=300), st.integers(1, 255))
def test_any_text_and_code_gives_a_short_readable_error(text: str, code: int) -> None:
    error = error_of(START, Finished(code, text, text))
    assert str(error)
    assert len(str(error)) < 600
    assert str(error).isprintable()


def test_a_password_that_comes_back_in_an_error_is_not_shown() -> None:
    answer = Finished(1, "", "chpasswd: (line 1) root:long-enough refused\n")
    with pytest.raises(Permanent) as caught:
        DRIVER.judge(PASSWORD, answer)
    assert "long-enough" not in str(caught.value)


def test_a_password_counts_as_set_only_with_the_marker_from_inside() -> None:
    DRIVER.judge(PASSWORD, Finished(0, "vzq-password:0\n", ""))
    with pytest.raises(Unsure):
        DRIVER.judge(PASSWORD, Finished(0, "", ""))


def test_a_container_answers_only_with_the_marker_from_inside() -> None:
    DRIVER.judge(LIVENESS, Finished(0, "vzq-alive\n", ""))
    with pytest.raises(Unsure):
        DRIVER.judge(LIVENESS, Finished(0, "vzq-alive-not\n", ""))


def test_an_address_in_use_is_named_and_those_that_were_only_mentioned_are_not() -> None:
    answer = Finished(78, "Adding IP address(es): 10.0.0.4 10.0.0.5 2001:db8::7\n", "Unable to add IP 10.0.0.5: Address already in use\n")
    with pytest.raises(AddressTaken) as caught:
        judge(replace(START, name="first-start"), answer)
    assert caught.value.addresses == ("10.0.0.5",)
    with pytest.raises(Taken) as known:
        judge(START, answer)
    assert type(known.value) is Taken


def test_a_duplicate_that_vzctl_only_warns_of_counts_for_a_new_address_alone() -> None:
    said = "arpsend: 10.0.0.5 is detected on another computer : 00:16:3e:00:00:01\nvps-net_add WARNING: arpsend -D -e 10.0.0.5 eth0 FAILED\n"
    DRIVER.judge(START, Finished(0, "", said))
    with pytest.raises(AddressTaken) as caught:
        DRIVER.judge(replace(START, name="first-start"), Finished(0, "", said))
    assert caught.value.addresses == ("10.0.0.5",)
