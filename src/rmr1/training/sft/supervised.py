"""The loss on a CPU, where every position counts: only what is learnt goes through the output layer, and a shared start runs once.

Both change the cost and not the value. The output layer of a small model is as costly as a quarter of its body, and most tokens are
prompt. All prompts of a run begin with the same instructions; a micro-batch computes them once, and the gradients of all its
examples flow back through that one computation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rmr1.training.sft.examples import IGNORED

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

_SHORTEST_SHARED = 16
_SCALED_LOGITS = ("final_logit_softcapping", "logit_scale", "logits_scaling", "output_multiplier", "lm_head_multiplier")


def has_plain_head(model: PreTrainedModel) -> bool:
    """Whether the logits are the output layer's, unscaled, and every layer attends to all that came before."""
    config = model.config.get_text_config()
    if any(getattr(config, name, None) not in (None, 1, 1.0) for name in _SCALED_LOGITS):
        return False
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    routed = hasattr(config, "output_router_logits")
    return kinds == {"full_attention"} and getattr(config, "sliding_window", None) is None and not routed


def summed_loss(model: PreTrainedModel, inputs: Mapping[str, Tensor]) -> Tensor:
    """Negative log-likelihood of the supervised tokens of a micro-batch, summed, in nats.

    Args:
        model: A causal language model with a plain head.
        inputs: ``input_ids`` and ``labels``, with an ``attention_mask`` of right-padded rows or ``position_ids`` of packed ones.
    """
    from torch.nn import functional

    labels = inputs["labels"]
    shared = shared_length(inputs) if "position_ids" not in inputs else 0
    hidden = _hidden(model, inputs, shared)
    labels = labels[:, shared:]
    learnt = labels[:, 1:] != IGNORED
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    logits = head(hidden[:, :-1][learnt]).float()
    return functional.cross_entropy(logits, labels[:, 1:][learnt], reduction="sum")


def shared_length(inputs: Mapping[str, Tensor]) -> int:
    """How many leading tokens all rows share and nobody learns; 0 where sharing is not worth it."""
    ids, labels = inputs["input_ids"], inputs["labels"]
    if len(ids) < 2:
        return 0
    same = (ids == ids[:1]).all(dim=0) & (labels == IGNORED).all(dim=0) & (inputs["attention_mask"] == 1).all(dim=0)
    # The token before the first learnt one stays out: its hidden state predicts.
    length = int(same.long().cumprod(dim=0).sum()) - 1
    return length if length >= _SHORTEST_SHARED else 0


def _hidden(model: PreTrainedModel, inputs: Mapping[str, Tensor], shared: int) -> Tensor:
    body: Any = model.base_model
    if "position_ids" in inputs:
        packed = body(input_ids=inputs["input_ids"], position_ids=inputs["position_ids"], use_cache=False)
        hidden: Tensor = packed.last_hidden_state
        return hidden
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    if not shared:
        hidden = body(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return hidden
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    body(input_ids=ids[:1, :shared], past_key_values=cache, use_cache=True)
    cache.batch_repeat_interleave(len(ids))
    hidden = body(
        input_ids=ids[:, shared:], attention_mask=mask, past_key_values=cache, use_cache=True
    ).last_hidden_state
    return hidden
