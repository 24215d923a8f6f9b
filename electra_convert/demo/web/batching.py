"""Requests that come while the model is busy, computed together, one batch at a time; knows nothing of HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class FullError(Exception):
    """So much is waiting that nothing more is taken."""


class Batcher(Generic[Item, Result]):
    """Hands what is waiting to a function, all of it at once.

    Args:
        compute: makes a result of each item; runs in the executor.
        executor: with one thread, so that two models do not compete for the cores.
        largest: how many items one batch may have.
        most: how many items may wait, those that are being computed not counted.
    """

    def __init__(
        self, compute: Callable[[Sequence[Item]], Sequence[Result]], executor: Executor, largest: int, most: int = 64
    ) -> None:
        self._compute = compute
        self._executor = executor
        self._largest = largest
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._work: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Wait for what the function makes of an item.

        Raises:
            FullError: too much is waiting.
            Exception: what the function raised for its batch.
        """
        self._waiting = [(one, waiter) for one, waiter in self._waiting if not waiter.done()]
        if len(self._waiting) >= self._most:
            raise FullError
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        # Whatever ended it, in order or not, the next request starts it anew.
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while batch := self._take():
            await self._answer(batch)

    def _take(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        # A request that was cancelled meanwhile is not computed.
        wanted = [(item, future) for item, future in self._waiting if not future.done()]
        self._waiting = wanted[self._largest :]
        return wanted[: self._largest]

    async def _answer(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        items = [item for item, _ in batch]
        try:
            results = await asyncio.get_running_loop().run_in_executor(self._executor, self._computed, items)
            answered = list(zip(batch, results, strict=True))
        except Exception as error:  # noqa: BLE001 - whoever waits for it is told
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in answered:
            if not future.done():
                future.set_result(result)

    def _computed(self, items: Sequence[Item]) -> Sequence[Result]:
        try:
            return self._compute(items)
        except StopIteration as error:
            # A future cannot carry it: asyncio refuses, and who waits would wait for ever.
            raise RuntimeError("the computation ended in StopIteration") from error
