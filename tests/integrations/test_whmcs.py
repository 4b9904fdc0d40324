"""The WHMCS module against a running vzq: what WHMCS is told, and what is on the node."""

import contextlib
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.embedded.programs import until
from tests.integrations.between import Between, between
from tests.integrations.conftest import MODULE, House, Whmcs


def test_every_file_is_valid_php(php: str) -> None:
    files = sorted(MODULE.rglob("*.php"))
    assert len(files) > 8
    for file in files:
        told = subprocess.run([php, "-l", str(file)], capture_output=True, text=True, timeout=30, check=False)
        assert told.returncode == 0, told.stdout + told.stderr


def test_pending_is_said_until_the_vps_answers_and_the_cron_finishes_it(whmcs: Whmcs, house: House) -> None:
    whmcs.product(wait="0")
    service = whmcs.ordered()
    told = whmcs.call("CreateAccount", service)
    assert told["result"].startswith("pending: vzq job ")
    assert "it is finished by the hook" in told["result"]
    assert (told["domainstatus"], told["mails"], told["dedicatedip"]) == ("Pending", [], "")

    after = whmcs.until_finished(service, "Active")
    (found,) = house.found(after["domain"])
    assert found.running
    assert found.answers
    assert after["username"] == "root"
    assert after["dedicatedip"] == house.conf(found.ctid)["IP_ADDRESS"].partition("/")[0]
    assert after["mails"] == [{"address": after["dedicatedip"], "password": after["password"]}]  # one mail, and it tells the truth
    assert house.opens(found.ctid, after["password"])
    whmcs.does("cron")
    assert len(whmcs.show(service)["mails"]) == 1


def test_eight_clicks_at_once_make_one_vps_and_one_mail(whmcs: Whmcs, house: House) -> None:
    service = whmcs.ordered()
    clicks = [whmcs.start("call", function="CreateAccount", service=service) for _ in range(8)]
    told = [whmcs.ends(click)["result"] for click in clicks]
    assert told.count("success") == 1
    assert all(word == "success" or word.startswith(("pending: ", "nothing was ordered: ")) for word in told)
    after = whmcs.show(service)
    assert len(house.found(after["domain"])) == 1
    assert (after["domainstatus"], len(after["mails"])) == ("Active", 1)
    again = whmcs.call("CreateAccount", service)
    assert again["result"].startswith("nothing was ordered: this service has its VPS")
    assert len(house.found(after["domain"])) == 1


def test_a_life_from_order_to_order_again(whmcs: Whmcs, house: House) -> None:
    service, ctid = whmcs.created()
    hostname = whmcs.show(service)["domain"]
    job_count = len(house.jobs())

    for function, status, running in [
        ("SuspendAccount", "Suspended", False),
        ("UnsuspendAccount", "Active", True),
        ("SuspendAccount", "Suspended", False),
    ]:
        told = whmcs.call(function, service, suspendreason="overdue: 12 €")
        assert (told["result"], told["domainstatus"]) == ("success", status)
        (found,) = house.found(hostname)
        assert found.running is running
        assert (house.conf(ctid).get("DISABLED") == "yes") is not running
    assert len(house.jobs()) == job_count + 3
    assert whmcs.call("start", service)["result"].startswith("vzq refused: ")  # nobody starts what billing has suspended
    assert not house.found(hostname)[0].running
    assert whmcs.call("SuspendAccount", service)["result"] == "success"  # clicked again: harmless
    assert whmcs.call("UnsuspendAccount", service)["result"] == "success"

    before = house.conf(ctid)["PHYSPAGES"]
    whmcs.product(plan="medium")
    assert whmcs.call("ChangePackage", service)["result"] == "success"
    assert house.conf(ctid)["PHYSPAGES"] != before

    new = "An0ther&<Secret>'\"$(id)"
    whmcs.secrets.append(new)
    told = whmcs.call("ChangePassword", service, password=new)
    assert told["result"] == "success", told
    assert told["password"] == new
    assert house.opens(ctid, new)
    assert whmcs.call("ChangePassword", service, password="kurz ä")["result"].startswith("nothing was ordered: ")

    assert whmcs.call("Renew", service)["result"] == "success"
    for button in ("stop", "start", "restart"):
        assert whmcs.call(button, service)["result"] == "success"
        assert house.found(hostname)[0].running is (button != "stop")
    assert whmcs.call("reinstall", service)["result"] == "success"
    assert house.opens(ctid, new)

    assert whmcs.page("UsageUpdate", server=1) == "success"
    assert whmcs.show(service)["disklimit"] == 4096
    area = whmcs.page("ClientArea", service=service)["templateVariables"]["vzq"]
    assert (area["trouble"], area["container"]["standing"], area["container"]["hostname"]) == ("", "running", hostname)
    assert "vzq job" in whmcs.page("AdminServicesTabFields", service=service)["Last order"]

    told = whmcs.call("TerminateAccount", service)
    assert (told["result"], told["domainstatus"]) == ("success", "Terminated")
    assert not any(found.running for found in house.found(hostname))
    assert whmcs.call("TerminateAccount", service)["result"] == "success"

    told = whmcs.call("CreateAccount", service)
    assert (told["result"], told["domainstatus"]) == ("success", "Active")
    (fresh,) = [found for found in house.found(hostname) if found.running]
    assert fresh.ctid != ctid


def test_a_terminated_vps_can_be_revived(whmcs: Whmcs, house: House) -> None:
    service, ctid = whmcs.created()
    assert whmcs.call("TerminateAccount", service)["result"] == "success"
    assert whmcs.call("SuspendAccount", service)["result"].startswith("nothing was ordered: ")
    assert whmcs.call("revive", service)["result"] == "success"
    (found,) = house.found(whmcs.show(service)["domain"])
    assert (found.ctid, found.running) == (ctid, True)
    assert whmcs.call("SuspendAccount", service)["result"] == "success"


def test_what_is_pending_of_other_verbs_is_finished_too(whmcs: Whmcs, house: House) -> None:
    service, ctid = whmcs.created()
    whmcs.product(wait="0")
    told = whmcs.call("SuspendAccount", service, suspendreason="overdue")
    assert told["result"].startswith("pending: ")
    assert told["domainstatus"] == "Active"
    whmcs.until_finished(service, "Suspended")
    assert house.conf(ctid)["DISABLED"] == "yes"
    told = whmcs.call("UnsuspendAccount", service)
    assert told["result"].startswith("pending: ")
    whmcs.until_finished(service, "Active")
    new = "Changed-Later-7"
    whmcs.secrets.append(new)
    assert whmcs.call("ChangePassword", service, password=new)["result"].startswith("pending: ")
    assert whmcs.show(service)["password"] != new

    def changed() -> bool:
        whmcs.does("cron")
        return bool(whmcs.show(service)["password"] == new)

    until(changed, within_s=60)
    assert house.opens(ctid, new)


def test_three_suspensions_in_a_hurry_are_three_orders(whmcs: Whmcs, house: House) -> None:
    service, ctid = whmcs.created()
    whmcs.product(wait="0")
    for function in ("SuspendAccount", "SuspendAccount", "UnsuspendAccount", "SuspendAccount"):
        assert whmcs.call(function, service)["result"].startswith("pending: ")
    verbs = [row["verb"] for row in whmcs.does("rows", table="mod_vzq_orders") if row["serviceid"] == service]
    assert verbs in (
        ["create-container", "suspend-container", "unsuspend-container", "suspend-container"],  # the two clicks met the same open order
        ["create-container", "suspend-container", "suspend-container", "unsuspend-container", "suspend-container"],  # or were not that quick
    )
    whmcs.until_finished(service, "Suspended")

    def settled() -> bool:
        whmcs.does("cron")
        return not any(row["state"] == "open" for row in whmcs.does("rows", table="mod_vzq_orders"))

    until(settled, within_s=60)
    assert whmcs.show(service)["domainstatus"] == "Suspended"
    assert house.conf(ctid)["DISABLED"] == "yes"


@pytest.fixture
def path(house: House) -> Between:
    with between(f"http://127.0.0.1:{house.port}") as there:
        yield there


def test_a_lost_answer_makes_no_second_vps(whmcs: Whmcs, house: House, path: Between) -> None:
    whmcs.server(port=path.port)
    service = whmcs.ordered()
    path.mood = "lose-answers"
    told = whmcs.call("CreateAccount", service)
    assert "no answer from" in told["result"]
    assert "nothing is lost" in told["result"]
    path.mood = "well"
    assert whmcs.call("CreateAccount", service)["result"] == "success"
    posts = [key for method, _, key in path.passed if method == "POST"]
    assert posts == [f"whmcs-{service}-create-container-1"] * 2
    assert len(house.found(whmcs.show(service)["domain"])) == 1


def test_a_lost_answer_is_followed_by_the_cron_too(whmcs: Whmcs, house: House, path: Between) -> None:
    whmcs.server(port=path.port)
    service = whmcs.ordered()
    path.mood = "lose-answers"
    whmcs.call("CreateAccount", service)
    path.mood = "well"
    after = whmcs.until_finished(service, "Active")
    assert len(house.found(after["domain"])) == 1
    assert len(after["mails"]) == 1


@pytest.mark.parametrize(("mood", "sentence"), [("down", "nothing was accepted"), ("proxy-down", "status 502")])
def test_nothing_is_lost_while_the_api_is_away(whmcs: Whmcs, house: House, path: Between, mood: str, sentence: str) -> None:
    whmcs.server(port=path.port)
    service, ctid = whmcs.created()
    path.mood = mood
    told = whmcs.call("SuspendAccount", service)
    assert sentence in told["result"]
    assert "try again" in told["result"]
    assert told["domainstatus"] == "Active"
    whmcs.does("cron")
    assert whmcs.page("ClientArea", service=service)["templateVariables"]["vzq"]["trouble"]
    assert sentence in whmcs.page("TestConnection", server=1)["error"]
    path.mood = "well"
    whmcs.until_finished(service, "Suspended")
    assert house.conf(ctid)["DISABLED"] == "yes"


def test_an_api_that_is_not_there_is_told_and_the_order_goes_out_later(whmcs: Whmcs, house: House) -> None:
    whmcs.server(port=1)
    service = whmcs.ordered()
    told = whmcs.call("CreateAccount", service)
    assert "nothing is lost: try again" in told["result"]
    assert told["domainstatus"] == "Pending"
    whmcs.server()
    after = whmcs.until_finished(service, "Active")
    assert len(house.found(after["domain"])) == 1


def test_what_was_never_accepted_is_not_ordered_for_a_service_that_was_cancelled(whmcs: Whmcs, house: House) -> None:
    whmcs.server(port=1)
    service = whmcs.ordered()
    whmcs.call("CreateAccount", service)
    whmcs.server()
    whmcs.does("put", tblhosting=[{"id": service, "domainstatus": "Cancelled"}])
    whmcs.does("cron")
    assert [row["state"] for row in whmcs.does("rows", table="mod_vzq_orders")] == ["forgotten"]
    assert house.found(whmcs.show(service)["domain"]) == []


def test_a_refusal_gives_the_reasons_and_a_mended_product_goes_through(whmcs: Whmcs, house: House) -> None:
    house.vzq("plan", "add", "enormous", "--ram", "4T", "--disk", "8T", "--cpus", "4")
    whmcs.product(plan="enormous")
    service = whmcs.ordered()
    told = whmcs.call("CreateAccount", service)
    assert told["result"].startswith("vzq refused: ")
    assert house.node.name in told["result"]
    whmcs.product(plan="nonesuch")
    assert "nonesuch" in whmcs.call("CreateAccount", service)["result"]
    assert whmcs.call("TerminateAccount", service)["result"] == "success"  # there is nothing, and that is known
    whmcs.product()
    assert whmcs.call("CreateAccount", service)["result"] == "success"


def test_a_job_that_failed_is_told_with_its_error(whmcs: Whmcs, house: House) -> None:
    house.vzq("plan", "add", "tiny", "--ram", "64M", "--disk", "64M")
    service, ctid = whmcs.created()
    before = house.conf(ctid)
    (Path(house.node.root) / "vz/private" / str(ctid) / "root/customers-files").write_bytes(b"x" * (70 << 20))
    whmcs.product(plan="tiny")
    told = whmcs.call("ChangePackage", service)
    assert "(resize-container) failed: " in told["result"]
    assert "MiB" in told["result"]
    assert house.conf(ctid) == before


def test_a_vps_that_is_terminated_while_it_is_made_is_never_handed_over(whmcs: Whmcs, house: House) -> None:
    whmcs.product(wait="0")
    service = whmcs.ordered()
    assert whmcs.call("CreateAccount", service)["result"].startswith("pending: ")
    assert whmcs.call("SuspendAccount", service)["result"].startswith("nothing was ordered: its VPS is still being made")
    assert whmcs.call("TerminateAccount", service)["result"].startswith("pending: ")
    after = whmcs.until_finished(service, "Terminated")
    assert after["mails"] == []
    assert not any(found.running for found in house.found(after["domain"]))


def test_a_table_put_back_from_a_backup_takes_no_new_order_for_an_old_one(whmcs: Whmcs, house: House, tmp_path: Path) -> None:
    service, ctid = whmcs.created()
    shutil.copy(whmcs.root / "whmcs.sqlite", tmp_path / "backup")
    assert whmcs.call("SuspendAccount", service)["result"] == "success"
    assert whmcs.call("UnsuspendAccount", service)["result"] == "success"
    shutil.copy(tmp_path / "backup", whmcs.root / "whmcs.sqlite")
    assert whmcs.call("SuspendAccount", service)["result"] == "success"
    assert house.conf(ctid)["DISABLED"] == "yes"


def test_a_create_that_was_forgotten_with_the_table_finds_its_vps_again(whmcs: Whmcs, house: House, tmp_path: Path) -> None:
    service = whmcs.ordered()
    shutil.copy(whmcs.root / "whmcs.sqlite", tmp_path / "backup")
    assert whmcs.call("CreateAccount", service)["result"] == "success"
    shutil.copy(tmp_path / "backup", whmcs.root / "whmcs.sqlite")
    assert whmcs.call("CreateAccount", service)["result"] == "success"
    assert len(house.found(whmcs.show(service)["domain"])) == 1


def test_an_existing_container_is_tied_to_a_service_by_hand(whmcs: Whmcs, house: House) -> None:
    _, ctid = whmcs.created()
    other = whmcs.ordered(domainstatus="Active")
    assert "enter its container id" in whmcs.call("TerminateAccount", other)["result"]
    whmcs.does("save", service=other, fields={"vzq_ctid": str(ctid)})
    assert whmcs.call("SuspendAccount", other)["result"] == "success"
    assert house.conf(ctid)["DISABLED"] == "yes"


def test_the_script_for_cron_finishes_what_is_pending(whmcs: Whmcs) -> None:
    whmcs.product(wait="0")
    service = whmcs.ordered()
    whmcs.call("CreateAccount", service)
    script = whmcs.root / "modules/servers/vzq/finish.php"

    def finished() -> bool:
        subprocess.run([whmcs.php, str(script)], env=whmcs.env, check=True, timeout=60, capture_output=True)
        return bool(whmcs.show(service)["domainstatus"] == "Active")

    until(finished, within_s=60)


def test_a_connection_is_good_when_an_order_went_the_whole_way(whmcs: Whmcs) -> None:
    assert whmcs.page("TestConnection", server=1) == {"success": True, "error": ""}
    whmcs.server(password="vzq_" + "x" * 43)
    told = whmcs.page("TestConnection", server=1)
    assert not told["success"]
    assert "does not accept the token" in told["error"]


def test_what_whmcs_asks_about_the_module_fits_its_settings(whmcs: Whmcs) -> None:
    options = whmcs.does("plain", function="ConfigOptions")
    source = (MODULE / "servers/vzq/lib/Plan.php").read_text()
    assert f"const FIELDS = {list(options)!r};" in source  # WHMCS numbers them in this order
    assert len(options) <= 24
    for button in whmcs.does("plain", function="AdminCustomButtonArray").values():
        assert f"function vzq_{button}(" in (MODULE / "servers/vzq/vzq.php").read_text()


def test_disk_use_is_what_the_books_say(whmcs: Whmcs, house: House) -> None:
    service, ctid = whmcs.created()
    assert whmcs.page("UsageUpdate", server=1) == "success"
    assert whmcs.show(service)["diskusage"] == 0  # not seen yet
    with contextlib.closing(sqlite3.connect(house.state / "vzq.sqlite", timeout=20)) as books, books:
        books.execute("update container set disk_used_bytes = ? where id = ?", ((30 << 20) + 1, ctid))  # simulated nodes have no quota that counts
    assert whmcs.page("UsageUpdate", server=1) == "success"
    after = whmcs.show(service)
    assert (after["diskusage"], after["disklimit"]) == (31, 2048)
    area = whmcs.page("ClientArea", service=service)["templateVariables"]["vzq"]
    assert area["container"]["disk_used_mib"] == 31


def test_bandwidth_is_this_months_traffic_and_is_left_alone_where_nobody_counts(whmcs: Whmcs, house: House) -> None:
    service, ctid = whmcs.created()

    def counter(total: int | None) -> None:
        with contextlib.closing(sqlite3.connect(house.state / "vzq.sqlite", timeout=20)) as books, books:
            books.execute("update container set net_in_bytes = ?, net_out_bytes = ? where id = ?", (total, total and 0, ctid))

    def shown() -> int:
        assert whmcs.page("UsageUpdate", server=1) == "success"
        return int(whmcs.show(service)["bwusage"])

    counter(None)
    assert shown() == 0
    counter(5 << 20)
    assert shown() == 5
    counter(7 << 20)
    assert shown() == 7
    with contextlib.closing(sqlite3.connect(whmcs.root / "whmcs.sqlite", timeout=20)) as own, own:
        own.execute("update mod_vzq_services set month = '2001-01' where serviceid = ?", (service,))
    assert shown() == 0
    counter(9 << 20)
    assert shown() == 2
