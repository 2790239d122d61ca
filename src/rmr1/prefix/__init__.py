"""Sequences that begin alike, computed once: the prefix tree of a batch, its packed row, and a forward pass over it.

Four sequences, and the tree in which every token stands once (``depth`` is the position that the model is told)::

    judge pair-1 A.            [judge]            depth 0
    judge pair-1 B.             ├─ [pair-1]       depth 1
    judge pair-2 A.             │   ├─ [A.]       depth 2
    judge pair-2 B.             │   └─ [B.]
                                └─ [pair-2] ...

``tree`` and ``packing`` are plain Python. The other modules import torch or transformers, and are to be imported by those who
have a model at hand: ``logprobs`` for training, ``segments`` for sequences that are being written, ``support`` for what can be
done with a model.
"""

from rmr1.prefix.packing import Packed, Predictions, Span, pack, predictions
from rmr1.prefix.tree import Node, PrefixTree, build_tree

__all__ = ["Node", "Packed", "Predictions", "PrefixTree", "Span", "build_tree", "pack", "predictions"]
