"""Engines that are programs: they read the comparison instead of the prompt, and know the answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from importlib.metadata import version

from rmr1.config import EngineConfig
from rmr1.curriculum import write_trace
from rmr1.errors import ConfigError, DataError
from rmr1.records import Comparison, Generation, GenerationRequest, Usage

PROGRAMS: dict[str, Callable[[Comparison], str]] = {"curriculum": write_trace}


def load(model: str, config: EngineConfig, *, concurrency: int) -> ProgramEngine:
    """``program/NAME``; no setting matters."""
    return ProgramEngine(model)


class ProgramEngine:
    """Writes the completion that a program finds; ``program/curriculum`` is the teacher of the curriculum.

    Args:
        name: Name of the program.

    Raises:
        ConfigError: There is no such program.
    """

    embedded = True
    computes_in_caller = False
    think_open = False
    writes_logprobs = False
    obeys_grammars = False

    def __init__(self, name: str) -> None:
        if name not in PROGRAMS:
            raise ConfigError(f"program/{name}: no such program; there is {', '.join(PROGRAMS)}")
        self.name = f"program/{name}"
        self._write = PROGRAMS[name]

    def identity(self) -> Mapping[str, object]:
        """The package's version: a program changes with it."""
        return {"program": self.name, "rmr1": version("rmr1")}

    async def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """Answer each request; what the program does not know is a failed request."""
        for request in requests:
            yield self._answer(request)

    async def aclose(self) -> None:
        """Nothing to free."""

    def _answer(self, request: GenerationRequest) -> Generation:
        if request.comparison is None:
            return Generation(request.id, "", "error", error=f"{self.name} answers comparisons only")
        try:
            return Generation(request.id, self._write(request.comparison), usage=Usage())
        except DataError as error:
            return Generation(request.id, "", "error", error=str(error))
