"""What makes a whole campaign stand still that is none of its own doing: a pause (`vzq pause`) that holds all it has left to do."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from models.campaign_states import OPEN_OUTCOMES
from models.campaigns import Campaign, Target
from models.fleet import Node
from models.pauses import Pause
from producers.campaigns.sort import Sort
from producers.pauses import pauses


def rests(session: Session, campaign: Campaign, sort: Sort, targets: Sequence[Target]) -> str:
    """Why none of its open targets may go on, as a sentence; "" when one may, or none is left."""
    known = pauses(session)
    left = [target for target in targets if target.outcome in OPEN_OUTCOMES] if known else []
    if not left:
        return ""
    sites = {node.name: node.site for node in session.exec(select(Node).where(col(Node.name).in_({target.node for target in left}))).all()}
    holding: list[Pause] = []
    for target in left:
        told = {"site": sites.get(target.node, ""), "node": target.node, "kind": sort.ordered(target), "producer": campaign.producer}
        holds = next((pause for pause in known if pause.holds(**told)), None)
        if holds is None:
            return ""
        holding.append(holds)
    return "; ".join(dict.fromkeys(f"{pause.what} is paused by {pause.by}: {pause.because}" for pause in holding))
