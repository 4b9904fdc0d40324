"""The kinds of campaigns that there are: one line each, moves together."""

from models.campaigns import CampaignKind
from producers.campaigns.sort import Sort
from producers.relocations.sort import RelocationSort
from producers.rollouts.sort import RolloutSort

MOVES = (CampaignKind.EVACUATION, CampaignKind.RETURN, CampaignKind.REBALANCE, CampaignKind.REBOOT)
SORTS: dict[CampaignKind, Sort] = {CampaignKind.ROLLOUT: RolloutSort(), **dict.fromkeys(MOVES, RelocationSort())}
