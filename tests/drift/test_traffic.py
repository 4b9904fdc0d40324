"""Traffic of containers on a simulated node, as looks at it find it."""

from tests.drift.conftest import DriftHouse


async def test_traffic_is_counted_over_restarts_and_reinstalls(house: DriftHouse) -> None:
    ctid = await house.create()
    await house.look()
    await house.ctl("traffic", ctid=ctid, **{"in": 1000, "out": 50})
    await house.look()
    assert traffic(house, ctid) == (1000, 50, "")
    await house.order("restart-container", ctid)
    await house.ctl("traffic", ctid=ctid, **{"in": 10, "out": 5})
    await house.look()
    assert traffic(house, ctid) == (1010, 55, "")
    await house.order("reinstall-container", ctid)
    await house.order("stop-container", ctid)
    await house.look()
    assert traffic(house, ctid) == (1010, 55, "")


async def test_a_node_that_cannot_tell_leaves_traffic_unknown_with_the_reason(house: DriftHouse) -> None:
    ctid = await house.create()
    (house.root / f"var/lib/vzctl/vepid/{ctid}").unlink()
    await house.look()
    received, sent, why = traffic(house, ctid)
    assert (received, sent, "no init process" in why) == (None, None, True)


def traffic(house: DriftHouse, ctid: int) -> tuple[int | None, int | None, str]:
    row = house.row(ctid)
    assert row is not None
    return row.net_in_bytes, row.net_out_bytes, row.net_why
