"""Several questions at once, of which none is left behind when another fails."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar, overload

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


@overload
async def all_of(a: Awaitable[A], b: Awaitable[B], /) -> tuple[A, B]: ...
@overload
async def all_of(a: Awaitable[A], b: Awaitable[B], c: Awaitable[C], /) -> tuple[A, B, C]: ...
@overload
async def all_of(a: Awaitable[A], b: Awaitable[B], c: Awaitable[C], d: Awaitable[D], /) -> tuple[A, B, C, D]: ...
async def all_of(*questions: Awaitable[Any]) -> tuple[Any, ...]:
    """All answers; raises the first error once every one has come to its end, so that nobody speaks to a node behind the asker's back."""
    answers = await asyncio.gather(*questions, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return tuple(answers)
