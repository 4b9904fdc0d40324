"""Parts of addresses. None of them matches a colon, so that `…:cancel` is never taken for part of an id."""

from typing import Annotated

from fastapi import Path
from starlette.convertors import Convertor, register_url_convertor

from models.ids import HIGHEST_NUMBER

JOB_ID = "[0-9A-Za-z]{26}"
NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$"


class _JobId(Convertor[str]):
    regex = JOB_ID

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _Name(_JobId):
    regex = "[^/:]+"


register_url_convertor("jobid", _JobId())
register_url_convertor("name", _Name())

JobId = Annotated[str, Path(pattern=f"^{JOB_ID}$", description="The job's id.", examples=["01JD8QF3Z5X0RQ2M8B7C4E6N9T"])]
CtId = Annotated[int, Path(ge=101, le=2_147_483_644, description="The container's id.")]
NodeName = Annotated[str, Path(pattern=NAME, description="The node's name.")]
PlanName = Annotated[str, Path(pattern=NAME, description="The plan's name.")]
PoolName = Annotated[str, Path(pattern=NAME, description="The pool's name.")]
TokenName = Annotated[str, Path(pattern=NAME, description="The token's name.")]
FindingId = Annotated[int, Path(ge=1, le=HIGHEST_NUMBER, description="The finding's number.")]
