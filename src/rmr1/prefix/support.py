"""Whether a model can share prefixes, in training over a tree or in decoding, and why not."""

from __future__ import annotations

import inspect
from typing import Any

from transformers import PreTrainedModel

from rmr1.prefix.torch_internals import compiled_from
from rmr1.prefix.transformers_internals import is_recurrent, takes_attention_functions

_SCALED_LOGITS = ("final_logit_softcapping", "logit_scale", "logits_scaling", "output_multiplier", "lm_head_multiplier")
_LIMITED_ATTENTION = ("sliding_window", "attention_chunk_size", "attn_logit_softcapping", "index_topk")
_DROPOUTS = ("attention_dropout", "attn_pdrop")


def core_model(model: Any) -> PreTrainedModel:
    """The model of transformers inside what wraps it: a distributed one, a compiled one, one with adapters."""
    while not isinstance(model, PreTrainedModel):
        compiled = compiled_from(model)
        if hasattr(model, "get_base_model"):
            model = model.get_base_model()
        elif compiled is not None:
            model = compiled
        elif hasattr(model, "module"):
            model = model.module
        else:
            raise TypeError(f"{type(model).__name__} is not a model of transformers, nor does it wrap one")
    return model


def unsupported_reason(model: Any) -> str | None:
    """Why a model cannot run over a tree, or None if it can.

    It goes by the model's configuration and class. ``logprobs.disagreement`` finds out by trying.

    Args:
        model: A causal language model of transformers, wrapped or not.
    """
    if any(getattr(config, "is_prompt_learning", False) for config in _adapters(model)):
        return "its adapters put trained tokens before the prompt"
    core = core_model(model)
    return decoding_unsupported_reason(core) or _dropout(core) or _other_output(core)


def decoding_unsupported_reason(model: Any) -> str | None:
    """Why sequences that a model writes cannot share prefixes, or None if they can.

    Args:
        model: A causal language model of transformers, wrapped or not.
    """
    core = core_model(model)
    return _wrong_kind(core) or _other_attention(core)


def _adapters(model: Any) -> list[Any]:
    inner = getattr(model, "module", model)
    given = getattr(inner, "peft_config", None)
    return list(given.values()) if isinstance(given, dict) else []


def _wrong_kind(core: PreTrainedModel) -> str | None:
    config = core.config
    if getattr(config, "is_encoder_decoder", False):
        return "it is an encoder and a decoder"
    if config.get_text_config() is not config:
        return "it is made for more than text"
    if not getattr(config, "is_causal", True):
        return "its attention is not causal"
    if not takes_attention_functions(core):
        return f"the attention of {type(core).__name__} cannot be exchanged"
    missing = {"position_ids", "logits_to_keep"} - set(inspect.signature(core.forward).parameters)
    return f"{type(core).__name__} takes no {min(missing)}" if missing else None


def _other_attention(core: PreTrainedModel) -> str | None:
    config = core.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"]) - {"full_attention"}
    if kinds:
        return f"it has layers of {', '.join(sorted(kinds))}"
    if is_recurrent(core):
        return "it has recurrent layers"
    limits = [name for name in _LIMITED_ATTENTION if getattr(config, name, None) is not None]
    return f"its attention is limited: {limits[0]} is {getattr(config, limits[0])}" if limits else None


def _dropout(core: PreTrainedModel) -> str | None:
    config = core.config
    dropouts = [name for name in _DROPOUTS if getattr(config, name, None)]
    return f"{dropouts[0]} is {getattr(config, dropouts[0])}; set it to 0" if dropouts else None


def _other_output(core: PreTrainedModel) -> str | None:
    config = core.config
    scaled = [name for name in _SCALED_LOGITS if getattr(config, name, None) not in (None, 1, 1.0)]
    if scaled:
        return f"its logits are scaled: {scaled[0]} is {getattr(config, scaled[0])}"
    if getattr(config, "output_router_logits", False):
        return "the loss of its router needs the whole batch; set output_router_logits to false"
    return None if core.get_output_embeddings() is not None else "it has no output layer"  # type: ignore[no-untyped-call]
