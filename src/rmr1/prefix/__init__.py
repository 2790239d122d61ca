"""Sequences that begin alike, computed once: the prefix tree of a batch, its packed row, and a forward pass over it.

Four sequences, and the tree in which every token stands once (``depth`` is the position that the model gets)::

    judge pair-1 A.            [judge]            depth 0
    judge pair-1 B.             ├─ [pair-1]       depth 1
    judge pair-2 A.             │   ├─ [A.]       depth 2
    judge pair-2 B.             │   └─ [B.]
                                └─ [pair-2] ...

``tree`` and ``packing`` are plain Python. The other modules import torch or transformers; import them only where there is a model:
``logprobs`` for training, ``decoding`` for writing sequences, ``attention`` and ``parts`` for what both compute, ``support`` for
whether a model can. ``transformers_internals`` and ``torch_internals`` hold what is used of these libraries beyond their public
interfaces, for the whole package.
"""

from rmr1.prefix.packing import Packed, PackedSpan, Predictions, pack, predictions
from rmr1.prefix.tree import Node, PrefixTree, build_tree

__all__ = ["Node", "Packed", "PackedSpan", "Predictions", "PrefixTree", "build_tree", "pack", "predictions"]
