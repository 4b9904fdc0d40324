"""The kinds of campaigns that there are: one line each."""

from models.campaigns import CampaignKind
from producers.campaigns.sort import Sort
from producers.rollouts.sort import RolloutSort

SORTS: dict[CampaignKind, Sort] = {CampaignKind.ROLLOUT: RolloutSort()}
