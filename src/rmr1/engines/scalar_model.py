"""Scalar reward models of transformers in this process: sequence classifiers with one output."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rmr1.config import EngineConfig
from rmr1.errors import ConfigError, EngineError, MissingExtraError
from rmr1.models.files import folder_fingerprint
from rmr1.models.loading import DType, context_of, hf_folder, load_reward_model
from rmr1.records import Generation, GenerationRequest, Message, Usage
from rmr1.verdict import score_text

try:
    import torch

    from rmr1.engines.chat_text import ChatText
    from rmr1.models.hardware import torch_device
except ImportError as error:
    raise MissingExtraError("the scalar engine", "train") from error

GPU_SLOTS = 16
WINDOW = 8
"""This many batches are drawn at a time, and sorted by length."""


@dataclass(frozen=True, slots=True)
class EncodedResponse:
    """A conversation as the model reads it. ``inputs`` has ``input_ids``, and segments where the model knows any."""

    request_id: str
    inputs: Mapping[str, Sequence[int]]

    @property
    def length(self) -> int:
        """Its tokens."""
        return len(self.inputs["input_ids"])


class ScalarEngine:
    """Scores responses with a sequence classifier of one output; the score is the raw output.

    The chat template of the model's tokenizer writes the conversation, which ends with the response; no answer begins after it. A
    model without one reads a prompt of one message and a response of one message as two segments. What is longer than the model's
    context fails and says so; nothing is cut.

    On a CPU each conversation is computed by itself, so a score depends on nothing else. In batches, conversations of like length
    are padded to the longest, and the last digits of a score may depend on its neighbours.

    Args:
        name: A folder, a run directory with a folder ``model``, or a repository of the hub, see ``hf_folder``.
        config: ``slots``, ``context``, ``threads``, ``dtype`` and ``device`` matter here.

    Raises:
        ModelNotFoundError: There is no such model, or it is no reward model.
        ConfigError: There is no such device.
    """

    embedded = True
    computes_in_caller = True
    think_open = False
    writes_logprobs = False
    obeys_grammars = False
    gives_scores = True

    def __init__(self, name: str, config: EngineConfig) -> None:
        self.name = f"scalar/{name}"
        device = torch_device(config.device)
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        if config.dtype == "mixed":
            raise ConfigError(
                "engine.dtype mixed is for the hf engine; for a scalar reward model take float32 or bfloat16"
            )
        usual: DType = "float32" if device == "cpu" else "bfloat16"
        self._dtype: DType = usual if config.dtype == "auto" else config.dtype
        self._slots = config.slots or (1 if device == "cpu" else GPU_SLOTS)
        self._folder = hf_folder(name)
        model, tokenizer = load_reward_model(str(self._folder), dtype=self._dtype, device=device)
        self._model: Any = model.eval()  # type: ignore[no-untyped-call]
        self._tokenizer: Any = tokenizer
        longest = min(context_of(model), tokenizer.model_max_length)
        self._context = min(config.context or longest, longest)
        self._text = ChatText(tokenizer, name) if tokenizer.chat_template else None
        if tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = tokenizer.eos_token
        if model.config.pad_token_id is None:  # decoders look for the last token before the padding
            model.config.pad_token_id = tokenizer.pad_token_id

    def identity(self) -> Mapping[str, object]:
        """The weights by samples of their files, and the settings that change scores."""
        return {
            "model_fingerprint": folder_fingerprint(self._folder),
            "dtype": self._dtype,
            "context": self._context,
        }

    async def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """Score all requests.

        Raises:
            EngineError: The model cannot be run, for want of memory for instance.
        """
        source = iter(requests)
        while drawn := list(islice(source, self._slots * WINDOW if self._slots > 1 else 1)):
            encoded: list[EncodedResponse] = []
            for request in drawn:
                try:
                    encoded.append(EncodedResponse(request.id, self._encode(request.messages)))
                except ValueError as error:
                    yield Generation(request.id, "", "error", Usage(), error=str(error))
            for generation in self._scored(sorted(encoded, key=lambda one: one.length)):
                yield generation
                await asyncio.sleep(0)

    async def aclose(self) -> None:
        """Free the model."""
        self._model = None

    def _encode(self, messages: Sequence[Message]) -> dict[str, Sequence[int]]:
        if self._text is not None:
            inputs: dict[str, Sequence[int]] = {"input_ids": self._text.conversation(messages)}
        else:
            if [message.role for message in messages] != ["user", "assistant"]:
                raise ValueError(
                    f"{self.name} has no chat template, and so reads one message and one response; this conversation has "
                    f"{len(messages)} messages"
                )
            texts = [message.content for message in messages]
            inputs = dict(self._tokenizer(*texts, split_special_tokens=True))
        length = len(inputs["input_ids"])
        if length > self._context:
            raise ValueError(
                f"the conversation has {length} tokens, and {self.name} takes {self._context}; nothing is cut, drop the pair"
            )
        return inputs

    def _scored(self, encoded: Sequence[EncodedResponse]) -> Iterator[Generation]:
        for start in range(0, len(encoded), self._slots):
            batch = encoded[start : start + self._slots]
            try:
                scores = self._scores([one.inputs for one in batch])
            except RuntimeError as error:  # torch raises it and its kin for want of memory
                raise EngineError(
                    f"{self.name} cannot be run: {error}; if memory is short, take --set engine.slots=1"
                ) from error
            for one, score in zip(batch, scores, strict=True):
                usage = Usage(one.length)
                if math.isfinite(score):
                    yield Generation(one.request_id, score_text(score), usage=usage)
                else:
                    said = f"the model's score is {score}, which is no number; with float16, try engine.dtype=float32"
                    yield Generation(one.request_id, "", "error", usage, error=said)

    def _scores(self, inputs: Sequence[Mapping[str, Sequence[int]]]) -> list[float]:
        names = [name for name in inputs[0] if name != "attention_mask"]
        columns = {name: [list(one[name]) for one in inputs] for name in names}
        padded = self._tokenizer.pad(columns, padding=True, padding_side="right", return_tensors="pt")
        with torch.inference_mode():
            logits = self._model(**padded.to(self._model.device)).logits
        scores: list[float] = logits[:, 0].float().tolist()
        return scores
