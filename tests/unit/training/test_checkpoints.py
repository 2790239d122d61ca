"""A checkpoint is whole, or it does not count."""

import pytest

from rmr1.training.checkpoints import (
    checkpoint_step,
    commit,
    find_checkpoints,
    latest_whole,
    remove_old,
    staging_folder,
)


def write(folder, step):
    written = staging_folder(folder) / f"checkpoint-{step}"
    (written / "deep").mkdir(parents=True)
    (written / "weights").write_bytes(b"w" * 100)
    (written / "deep" / "state").write_bytes(b"s" * 10)
    return commit(written, folder)


def test_the_newest_whole_one_counts(tmp_path):
    for step in (3, 12, 6):
        write(tmp_path, step)
    assert [checkpoint_step(path) for path in find_checkpoints(tmp_path)] == [3, 6, 12]
    assert latest_whole(tmp_path) == (tmp_path / "checkpoint-12", [])


@pytest.mark.parametrize("damage", ["cut", "gone", "deep", "list", "garbage"])
def test_a_damaged_one_is_passed_over(tmp_path, damage):
    write(tmp_path, 3)
    newest = write(tmp_path, 6)
    if damage == "cut":
        (newest / "weights").write_bytes(b"w" * 99)
    elif damage == "gone":
        (newest / "weights").unlink()
    elif damage == "deep":
        (newest / "deep" / "state").unlink()
    elif damage == "list":
        (newest / "complete.json").unlink()
    else:
        (newest / "complete.json").write_text("[1")
    assert latest_whole(tmp_path) == (tmp_path / "checkpoint-3", [newest])


def test_what_was_being_written_does_not_count(tmp_path):
    (staging_folder(tmp_path) / "checkpoint-9").mkdir()
    assert latest_whole(tmp_path) == (None, [])
    assert latest_whole(tmp_path / "none") == (None, [])
    assert not list(staging_folder(tmp_path).iterdir())


def test_old_ones_go(tmp_path):
    for step in (1, 2, 3):
        write(tmp_path, step)
    remove_old(tmp_path, 2)
    assert [checkpoint_step(path) for path in find_checkpoints(tmp_path)] == [2, 3]


def test_a_step_that_is_saved_again_replaces_the_damaged_one(tmp_path):
    (write(tmp_path, 3) / "weights").unlink()
    write(tmp_path, 3)
    assert latest_whole(tmp_path) == (tmp_path / "checkpoint-3", [])


def test_a_state_that_was_changed_without_changing_its_size_is_seen(tmp_path):
    first, second = write(tmp_path, 1), write(tmp_path, 2)
    (second / "deep" / "state").write_bytes(b"t" * 10)
    assert latest_whole(tmp_path) == (first, [second])
