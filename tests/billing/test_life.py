"""A billing system that knows only the OpenAPI document runs a VPS through its whole life; the nodes are asked what became of it."""

import itertools
from typing import Any

import pytest

from tests.billing.conftest import TEMPLATE, Up
from tests.billing.document import Document

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("billing")]
KEYS = itertools.count(1)


class Shop:
    """Orders by the document, waits by the document."""

    def __init__(self, document: Document) -> None:
        self.document = document

    def order(self, kind: str, **values: Any) -> dict[str, Any]:
        """The job, once it is done."""
        body = self.document.order(kind, **values)
        key = f"shop-{kind}-{next(KEYS)}"
        placed = self.document.call("placeOrder", body, Idempotency_Key=key)
        assert placed.status_code == 202
        again = self.document.call("placeOrder", body, Idempotency_Key=key, expects=202)
        assert (again.json()["id"], again.headers["idempotency-replayed"]) == (placed.json()["id"], "true")
        job = placed.json()
        while job["state"] not in ("done", "failed", "cancelled", "stuck"):
            job = self.document.call("getJob", job_id=job["id"], wait=30, expects=200).json()
        assert job["state"] == "done", (kind, job["state"], job["error"])
        return job  # type: ignore[no-any-return]

    def refused(self, kind: str, **values: Any) -> dict[str, Any]:
        """What the API says to an order that cannot be had now."""
        problem: dict[str, Any] = self.document.call("placeOrder", self.document.order(kind, **values), expects=409).json()
        return problem

    def container(self, ctid: int) -> dict[str, Any]:
        shown: dict[str, Any] = self.document.call("getContainer", ctid=ctid, expects=200).json()
        return shown


def test_a_vps_lives_its_whole_life_by_the_document_alone(up: Up, document: Document) -> None:
    shop = Shop(document)
    plans = {plan["name"]: plan for plan in document.call("listPlans", expects=200).json()["items"]}
    assert TEMPLATE in {template["name"] for template in document.call("listTemplates", expects=200).json()["items"]}
    small, large = sorted((plans["small"], plans["medium"]), key=lambda plan: plan["ram_bytes"])

    made = shop.order("create-container", plan=small["name"], template=TEMPLATE, hostname="life.example.net", customer="c7", generate_password=True)
    ctid = made["ctid"]
    password = document.call("fetchPassword", job_id=made["id"], expects=200).json()["password"]
    assert len(password) >= 8
    document.call("fetchPassword", job_id=made["id"], expects=409)
    assert up.on_node(ctid)["running"]
    assert shop.container(ctid)["addresses"] == up.on_node(ctid)["addresses"]
    assert ctid in {one["ctid"] for one in document.call("listContainers", customer="c7", expects=200).json()["items"]}

    shop.order("suspend-container", ctid=ctid)
    assert (up.on_node(ctid)["running"], up.on_node(ctid)["lines"]["DISABLED"]) == (False, "yes")
    assert "suspended" in shop.refused("start-container", ctid=ctid)["detail"]
    shop.order("unsuspend-container", ctid=ctid)
    assert up.on_node(ctid)["running"]

    shop.order("resize-container", ctid=ctid, plan=large["name"])
    assert up.on_node(ctid)["lines"]["CPUS"] == str(large["cpus"])
    shop.order("resize-container", ctid=ctid, plan=small["name"])
    assert shop.container(ctid)["plan"] == small["name"]

    shop.order("reinstall-container", ctid=ctid)
    assert up.on_node(ctid)["lines"]["OSTEMPLATE"] == TEMPLATE
    renewed = shop.order("set-password", ctid=ctid, generate_password=True)
    assert document.call("fetchPassword", job_id=renewed["id"], expects=200).json()["password"] != password

    added = shop.order("add-address", ctid=ctid)["result"]["address"]
    assert added in up.on_node(ctid)["addresses"]
    shop.order("remove-address", ctid=ctid, address=added)
    assert added not in up.on_node(ctid)["addresses"]
    last = shop.container(ctid)["addresses"][0]
    assert "last address" in shop.refused("remove-address", ctid=ctid, address=last)["detail"]

    shop.order("terminate-container", ctid=ctid, grace_hours=24.0)
    assert (up.on_node(ctid)["running"], shop.container(ctid)["standing"]) == (False, "terminated")
    shop.order("revive-container", ctid=ctid)
    assert up.on_node(ctid)["running"]
    shop.order("terminate-container", ctid=ctid, grace_hours=24.0)
    shop.order("purge-container", ctid=ctid)
    assert [one for one in up.on_nodes(ctid) if one["conf"] or one["private"]] == []
    document.call("getContainer", ctid=ctid, expects=404)
    again = shop.order("create-container", plan=small["name"], template=TEMPLATE, hostname="life.example.net", customer="c7")
    assert again["ctid"] != ctid


def test_names_and_power_by_the_document_alone(up: Up, document: Document) -> None:
    shop = Shop(document)
    ctid = shop.order("create-container", plan="small", template=TEMPLATE, hostname="names.example.net")["ctid"]
    shop.order("set-hostname", ctid=ctid, hostname="new.example.net")
    shop.order("rename-container", ctid=ctid, name="shop-life")
    shop.order("set-nameservers", ctid=ctid, nameservers=["127.0.0.53"])
    shown = up.on_node(ctid)["lines"]
    assert (shown["HOSTNAME"], shown["NAME"], shown["NAMESERVER"]) == ("new.example.net", "shop-life", "127.0.0.53")
    shop.order("stop-container", ctid=ctid)
    assert not up.on_node(ctid)["running"]
    shop.order("start-container", ctid=ctid)
    shop.order("restart-container", ctid=ctid)
    assert up.on_node(ctid)["running"]


def test_the_document_knows_every_order_that_a_vps_can_be_given(document: Document) -> None:
    assert document.kinds() >= {
        "create-container", "start-container", "stop-container", "restart-container", "suspend-container", "unsuspend-container", "resize-container",
        "reinstall-container", "set-password", "set-hostname", "set-nameservers", "rename-container", "add-address", "remove-address",
        "terminate-container", "revive-container", "purge-container",
    }  # fmt: skip
