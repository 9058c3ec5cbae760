"""Probes: health checks, each on a connection of its own, and requests for load reports.

A load report is a response field, `X-LB-Load: in_flight=3, latency_ms=12.5`. It is asked for on
kept connections, because there may be several for every request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from lb import wire
from lb.balancing import Backend, LoadReport, ProbeResult
from lb.config import HealthTable, Scenario, host_and_port
from lb.proxy.health.conversation import Answer, Broken, Conversation
from lb.proxy.health.kept import Kept, Place
from lb.proxy.health.question import Question
from lb.proxy.logs.log import Log
from lb.proxy.names import Names, Unresolved
from lb.proxy.reaching import Way, Ways, reach
from lb.system import ours, reason


class Prober:
    """Carries out probes; knows nothing of rising and falling. Every probe ends in a result."""

    def __init__(
        self,
        scenario: Scenario,
        names: Names,
        log: Log,
        now: Callable[[], float],
        ways: Ways,
    ) -> None:
        """Must be made inside a running event loop. `now` is a clock finer than the loop's."""
        self._loop = asyncio.get_running_loop()
        self._now = now
        self._names = names
        self._log = log
        self._common: HealthTable
        self._own: Mapping[tuple[str, str], HealthTable]
        self._questions: dict[tuple[str, str], Question] = {}
        self._kept = Kept(self._loop)
        self.adopt(scenario, ways)

    def adopt(self, scenario: Scenario, ways: Ways) -> None:
        """Ask from here on as another file says, and reach backends in its ways."""
        self._ways = ways
        self._common = scenario.health
        self._own = {
            (row.label, row.address): row.checked_by(scenario.health) for row in scenario.backends
        }
        self._questions.clear()
        self._kept.idle = scenario.timeouts.idle
        if self._kept:
            self._kept.only(set(self._places()))

    async def probe(self, backend: Backend) -> ProbeResult:
        """How the backend is."""
        try:
            return await self._check(self._question(backend), self._way(backend))
        except Unresolved as error:
            why = f"name not resolved: {error}"
            return ProbeResult(False, why, refused=error.unknown)
        except TimeoutError:
            return ProbeResult(False, f"no answer within {self._question(backend).timeout:g} s")
        except Broken as error:
            return ProbeResult(False, f"broken answer: {error}")
        except OSError as error:
            refused = isinstance(error, ConnectionRefusedError)
            why = f"cannot connect: {reason(error)}"
            return ProbeResult(False, why, ours=ours(error), refused=refused)
        except Exception as error:
            return ProbeResult(False, self._defect(backend, error))

    async def load(self, backend: Backend) -> LoadReport | None:
        """What the backend says of its load; None when it says nothing."""
        try:
            answer = await self._ask_on_kept(self._question(backend), self._way(backend))
        except (Unresolved, Broken, OSError):
            return None  # health checks tell of such things
        except Exception as error:
            self._defect(backend, error)
            return None
        figures = wire.read_load(answer.load)
        return None if figures is None else LoadReport(*figures)

    async def close(self) -> None:
        """Give up all connections."""
        self._kept.close()

    # --- inside

    def _question(self, backend: Backend) -> Question:
        key = backend.name, backend.address
        question = self._questions.get(key)
        if question is None:
            table = self._own.get(key, self._common)
            question = self._questions[key] = Question.of(table, backend.address)
        return question

    def _places(self) -> Iterator[Place]:
        """Where the backends of the file are asked."""
        for (name, address), table in self._own.items():
            host, port = host_and_port(address)
            yield host, table.port or port, self._ways.to(name, address)

    def _way(self, backend: Backend) -> Way:
        return self._ways.to(backend.name, backend.address)

    async def _check(self, question: Question, way: Way) -> ProbeResult:
        """Raises Unresolved, OSError (no connection), TimeoutError, Broken."""
        now = self._now

        async def ask(address: str) -> ProbeResult:
            started = now()
            conversation = await self._connect(address, question.port, way)
            try:
                if not question.reads:
                    return ProbeResult(True, "accepts connections", now() - started)
                answer = await conversation.ask(question.request)
                return question.judge(answer, now() - started)
            finally:
                conversation.close()

        return await self._names.name(question.host).each(ask, question.timeout)

    async def _ask_on_kept(self, question: Question, way: Way) -> Answer:
        """Raises the same."""
        place = question.host, question.port, way

        async def ask(address: str) -> Answer:
            while (conversation := self._kept.take(place, address)) is not None:
                with suppress(Broken):  # a connection may end while nobody looks
                    return await hear(conversation, address)
            return await hear(await self._connect(address, question.port, way), address)

        async def hear(conversation: Conversation, address: str) -> Answer:
            try:
                return await conversation.ask(question.kept_request)
            finally:
                self._kept.keep(place, address, conversation)

        return await self._names.name(question.host).each(ask, question.timeout)

    async def _connect(self, address: str, port: int, way: Way) -> Conversation:
        conversation = Conversation(self._loop)
        await reach(self._loop, conversation, address, port, way)
        return conversation

    def _defect(self, backend: Backend, error: Exception) -> str:
        """What nobody has foreseen ends one probe, and says what it was."""
        why = f"{type(error).__name__}: {error}"
        self._log("error", "probe broke", backend=backend.name, reason=why)
        return f"the probe broke: {why}"
