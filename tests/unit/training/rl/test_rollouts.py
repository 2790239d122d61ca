"""Which rollouts are computed, and how advantages are scaled."""

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from rmr1.training.rl.rollouts import keep_rows, live_rows, scaled_by_group  # noqa: E402


def batch(rewards, lengths, prompts):
    rows, longest, widest = len(rewards), max(lengths), max(prompts)
    ids = torch.arange(1, rows * 100 + 1).view(rows, 100)
    mask = torch.tensor([[1] * length + [0] * (longest - length) for length in lengths])
    prompt_mask = torch.tensor([[0] * (widest - width) + [1] * width for width in prompts])
    return {
        "prompt_ids": ids[:, :widest] * prompt_mask,
        "prompt_mask": prompt_mask,
        "completion_ids": ids[:, 50 : 50 + longest] * mask,
        "completion_mask": mask,
        "advantages": torch.tensor(rewards),
        "ref_per_token_logps": ids[:, :longest].float(),
        "num_items_in_batch": torch.tensor(7),
    }


def test_advantages_are_divided_by_the_deviation_of_their_group():
    centred = torch.tensor([1.0, -1.0, 0.5, -0.5, 0.0, 0.0])
    scaled = scaled_by_group(centred, 2)
    deviation = 2**0.5
    assert scaled.tolist() == pytest.approx([1 / deviation, -1 / deviation] * 2 + [0, 0], rel=1e-5)


def test_rows_without_advantage_or_without_tokens_are_dead():
    given = batch([1.0, 0.0, -1.0, 1.0], [3, 2, 4, 2], [5, 5, 5, 5])
    given["completion_mask"][3] = 0
    assert live_rows(given["advantages"], given["completion_mask"]).tolist() == [0, 2]


def test_fillers_learn_nothing_and_padding_that_nobody_needs_is_gone():
    given = batch([1.0, 0.0, 0.0, -1.0], [3, 9, 9, 4], [5, 8, 8, 6])
    kept = keep_rows(given, torch.tensor([0, 3]), 3)
    assert kept["advantages"].tolist() == [1.0, -1.0, 0.0]
    assert kept["completion_mask"].sum(dim=1).tolist() == [3, 4, 0]
    assert kept["completion_ids"].shape == (3, 4)
    assert kept["ref_per_token_logps"].shape == (3, 4)
    assert kept["prompt_ids"].shape == (3, 8)  # the filler is a row like any other
    assert kept["num_items_in_batch"] == 7
    assert torch.equal(kept["completion_ids"][1], given["completion_ids"][3, :4])
    assert given["completion_mask"].sum() == 25  # the batch itself is untouched


@given(
    st.lists(
        st.tuples(st.sampled_from([-1.0, 0.0, 1.0]), st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12
    )
)
def test_what_is_kept_is_what_there_was(rows):
    given_batch = batch(*(list(column) for column in zip(*rows, strict=True)))
    live = live_rows(given_batch["advantages"], given_batch["completion_mask"])
    count = max(1, len(live))
    kept = keep_rows(given_batch, live, count)
    assert len(kept["advantages"]) == count
    assert kept["completion_mask"].sum() == sum(length for advantage, length, _ in rows if advantage)
    for place, row in enumerate(live.tolist()):
        ids, mask = kept["prompt_ids"][place], kept["prompt_mask"][place].bool()
        assert torch.equal(ids[mask], given_batch["prompt_ids"][row][given_batch["prompt_mask"][row].bool()])
