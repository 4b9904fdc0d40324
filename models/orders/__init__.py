"""What may be asked, told apart by `kind`. The API, order files and the command line all speak this schema."""

from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter

from models.orders.create import CreateContainer
from models.orders.inside import CheckUpdate, ExecBatch, UpdateContainer
from models.orders.moves import CheckMigration, MigrateContainer
from models.orders.nodes import (
    AdoptContainer,
    CheckQueue,
    ClearDebris,
    EnrolNode,
    LookAtContainer,
    ObserveNode,
    QuarantineContainer,
    RebootNode,
    ScanHostKey,
)
from models.orders.verbs import (
    AddAddress,
    PurgeContainer,
    ReinstallContainer,
    RemoveAddress,
    RenameContainer,
    ResizeContainer,
    RestartContainer,
    ReviveContainer,
    SetHostname,
    SetNameservers,
    SetPassword,
    StartContainer,
    StopContainer,
    SuspendContainer,
    TerminateContainer,
    UnsuspendContainer,
)

__all__ = [
    "ORDER",
    "VERB_ORDERS",
    "AddAddress",
    "AdoptContainer",
    "CheckMigration",
    "CheckQueue",
    "CheckUpdate",
    "ClearDebris",
    "CreateContainer",
    "EnrolNode",
    "ExecBatch",
    "LookAtContainer",
    "MigrateContainer",
    "ObserveNode",
    "Order",
    "PurgeContainer",
    "QuarantineContainer",
    "RebootNode",
    "ReinstallContainer",
    "RemoveAddress",
    "RenameContainer",
    "ResizeContainer",
    "RestartContainer",
    "ReviveContainer",
    "ScanHostKey",
    "SetHostname",
    "SetNameservers",
    "SetPassword",
    "StartContainer",
    "StopContainer",
    "SuspendContainer",
    "TerminateContainer",
    "UnsuspendContainer",
    "UpdateContainer",
]

VERB_ORDERS = (
    StartContainer, StopContainer, RestartContainer, SuspendContainer, UnsuspendContainer, ResizeContainer, ReinstallContainer,
    SetPassword, SetHostname, SetNameservers, RenameContainer, AddAddress, RemoveAddress, TerminateContainer, ReviveContainer, PurgeContainer,
    UpdateContainer,
)  # fmt: skip
Verb = (
    StartContainer | StopContainer | RestartContainer | SuspendContainer | UnsuspendContainer | ResizeContainer | ReinstallContainer
    | SetPassword | SetHostname | SetNameservers | RenameContainer | AddAddress | RemoveAddress
    | TerminateContainer | ReviveContainer | PurgeContainer | UpdateContainer
)  # fmt: skip
Order = Annotated[
    CreateContainer
    | Verb
    | RebootNode
    | MigrateContainer
    | CheckMigration
    | CheckUpdate
    | AdoptContainer
    | ClearDebris
    | QuarantineContainer
    | LookAtContainer
    | ExecBatch
    | ScanHostKey
    | EnrolNode
    | ObserveNode
    | CheckQueue,
    Field(discriminator="kind"),
]
ORDER: TypeAdapter[Order] = TypeAdapter(Order, config=ConfigDict(hide_input_in_errors=True))  # an input may be a password
