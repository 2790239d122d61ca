"""Models of transformers in this process: what was trained here, and any Hugging Face folder.

Sequences are decoded together in a batch of ``slots``; a finished one makes room for the next. A completion is meant to depend
on its request alone, so that a resumed run ends like an undisturbed one: each sequence samples from a generator of its own
seed, and decoding is batch-invariant. Batch invariance was measured bit by bit on CPUs with AVX-512, for 2 slots and more where
weights are packed and up to 48 elsewhere (docs/decisions/0008 and 0012). On other machines, the rest of the batch may tip a
choice between two tokens that are all but equally likely. The batches are a pure function of the list of requests, so the same
list gives the same completions in any case.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any, Literal

from rmr1.config import EngineConfig
from rmr1.engines.grammar_ending import FORCED
from rmr1.errors import ConfigError, EngineError, MissingExtraError
from rmr1.models.files import folder_fingerprint
from rmr1.models.loading import DType, context_of, hf_folder, load_causal_lm
from rmr1.prompts.automaton import compile_grammar
from rmr1.records import Generation, GenerationRequest, Usage

try:
    import torch

    from rmr1.engines.chat_text import ChatText
    from rmr1.models.hardware import is_fast_in_bfloat16, torch_device
    from rmr1.prefix.decoding.batch import Batch, rows_for
    from rmr1.prefix.decoding.grammar import TokenGrammar, Vocabulary
    from rmr1.prefix.decoding.packed_linears import PackedLinears
    from rmr1.prefix.decoding.sequences import DecodingSequence
    from rmr1.prefix.decoding.trial import trial_unsupported_reason
except ImportError as error:
    raise MissingExtraError("the hf engine", "train") from error

DEFAULT_SLOTS = 32


def load(model: str, config: EngineConfig, *, concurrency: int) -> HfEngine:
    """``hf/MODEL``; how many requests are under way is set by ``config.slots``."""
    return HfEngine(model, config)


class HfEngine:
    """Writes with a causal language model of transformers.

    It computes in the thread that awaits it, and lets others have their turn after each token. A thread of its own would be slower:
    OpenMP keeps a team of workers for every thread that computes, and once there are more of them than processors, all of them
    sleep between any two operations.

    Args:
        name: A folder, a catalogue name, a run of ``rmr1 sft``, or a repository of the hub, see ``hf_folder``.
        config: ``slots``, ``context``, ``threads``, ``think``, ``chat_template_kwargs``, ``dtype`` and ``device`` matter here.

    Raises:
        ModelNotFoundError: There is no such model.
        EngineError: It has no chat template, or layers that this engine does not know.
        ConfigError: There is no such device, or its chat template has no such variable.
    """

    embedded = True
    computes_in_caller = True
    writes_logprobs = True
    obeys_grammars = True

    def __init__(self, name: str, config: EngineConfig) -> None:
        self.name = f"hf/{name}"
        self._slots = config.slots or DEFAULT_SLOTS
        device = torch_device(config.device)
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        self._dtype = _usual_type(device) if config.dtype == "auto" else config.dtype
        if self._dtype == "mixed" and device != "cpu":
            raise ConfigError(f"engine.dtype mixed is for CPUs; on {device} take bfloat16")
        self._folder = hf_folder(name)
        weights: DType = "float32" if self._dtype == "mixed" else self._dtype
        model, tokenizer = load_causal_lm(str(self._folder), dtype=weights, device=device)
        self._model: Any = model.eval()  # type: ignore[no-untyped-call]
        reason = trial_unsupported_reason(model)
        if reason is not None:
            raise EngineError(f"{name}: the hf engine cannot run it: {reason}; use vllm/{name}")
        self._context = min(config.context or context_of(model), context_of(model))
        self._stops = _stop_tokens(model, tokenizer)
        self._variables = config.chat_template_kwargs
        self._text = ChatText(tokenizer, name, self._variables)
        self._grammars: dict[str, TokenGrammar] = {}
        self.think_open = config.think == "open" or (config.think == "auto" and self._text.opens_think())
        in_bfloat16 = PackedLinears(self._model, torch.bfloat16)
        if self._dtype == "mixed" and not in_bfloat16:
            if config.dtype == "mixed":
                raise ConfigError(f"engine.dtype mixed: torch cannot pack the weights of {name} here; take float32")
            self._dtype = "float32"
        self._packed: PackedLinears | None = in_bfloat16 if self._dtype == "mixed" else PackedLinears(self._model)

    def identity(self) -> Mapping[str, object]:
        """The weights by samples of their files, and the settings that change completions."""
        return {
            "model_fingerprint": folder_fingerprint(self._folder),
            "dtype": self._dtype,
            "context": self._context,
            "think_open": self.think_open,
            **({"chat_template_kwargs": self._variables} if self._variables else {}),
        }

    async def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """Complete all requests, ``slots`` of them at a time; each is drawn when a sequence before it has finished.

        Raises:
            EngineError: The model cannot be run, for want of memory for instance.
        """
        source = iter(requests)
        drawn = list(islice(source, self._slots))
        batch = Batch(self._model, rows_for(len(drawn), self._slots), self._stops, self._packed)
        while drawn or batch.busy:
            prepared = [self._prepare(request) for request in drawn]
            for refused in prepared:
                if isinstance(refused, Generation):
                    yield refused
            arriving = [sequence for sequence in prepared if isinstance(sequence, DecodingSequence)]
            for finished in self._guarded(batch.work(arriving)):
                if finished is not None:
                    yield self._generation(finished)
                await asyncio.sleep(0)
            drawn = list(islice(source, batch.room))

    def least_tokens(self, grammar: str) -> int:
        """Tokens of the shortest text of a grammar, with the one that ends the turn.

        Raises:
            ConfigError: The grammar cannot be read, or the model's tokens do not spell its texts.
        """
        return int(self._grammar(grammar).needed[0])

    async def aclose(self) -> None:
        """Free the model."""
        self._model = self._packed = None

    def _grammar(self, grammar: str) -> TokenGrammar:
        if grammar not in self._grammars:
            automaton = compile_grammar(grammar)
            self._grammars[grammar] = TokenGrammar(automaton, self._vocabulary, self._model.device)
        return self._grammars[grammar]

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self._text.spellings(), self._model.config.vocab_size, self._stops)

    def _prepare(self, request: GenerationRequest) -> DecodingSequence | Generation:
        try:
            prompt = self._text.prompt(request.messages)
            grammar = self._grammar(request.grammar) if request.grammar is not None else None
        except (ValueError, ConfigError) as error:
            return Generation(request.id, "", "error", error=str(error))
        room = self._context - len(prompt)
        if room < 1:
            message = f"the prompt has {len(prompt)} tokens, the context only {self._context}"
            return Generation(request.id, "", "error", error=message)
        limit = min(request.sampling.max_tokens, room)
        if grammar is not None and limit < grammar.needed[0]:
            message = f"{limit} tokens are too few: the shortest text of the grammar has {grammar.needed[0]}"
            return Generation(request.id, "", "error", error=message)
        shared = self._text.instructions(request.messages, prompt)
        return DecodingSequence(request, prompt, shared, limit, grammar=grammar)

    def _guarded(self, work: Iterator[DecodingSequence | None]) -> Iterator[DecodingSequence | None]:
        try:
            yield from work
        except RuntimeError as error:  # torch raises it and its kin for want of memory, and for kernels that fail
            raise EngineError(
                f"{self.name} cannot be run: {error}; if memory is short, take fewer slots, such as --set engine.slots=8"
            ) from error

    def _generation(self, sequence: DecodingSequence) -> Generation:
        choices = sequence.choices
        spoken = choices[:-1] if sequence.finish == "stop" else choices
        tokens = self._text.decode(spoken)
        return Generation(
            request_id=sequence.request.id,
            text="".join(token.text for token in tokens),
            finish_reason=sequence.finish or "error",
            usage=Usage(len(sequence.prompt), len(choices), sequence.cached),
            think_open=self.think_open,
            tokens=(tuple(tokens) or None) if sequence.request.logprobs else None,
            finish_detail=FORCED if sequence.sampler.grammar and sequence.sampler.grammar.forced else None,
        )


def _usual_type(device: str) -> Literal["float32", "bfloat16", "mixed"]:
    if device != "cpu":
        return "bfloat16"
    return "mixed" if is_fast_in_bfloat16() else "float32"


def _stop_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    stops: set[int] = set()
    for ids in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        stops.update([ids] if isinstance(ids, int) else ids or ())
    return frozenset(stops)
