"""How a training ends, and with what it does not begin."""

from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("trl", reason="the train extra is not installed")

from rmr1.config import SftConfig  # noqa: E402
from rmr1.errors import ConfigError, JournalError, StorageError  # noqa: E402
from rmr1.models import find_model  # noqa: E402
from rmr1.models import loading as hf_model  # noqa: E402
from rmr1.models.hardware import Hardware, detect_hardware  # noqa: E402
from rmr1.runs import NullCallbacks, RunDirectory  # noqa: E402
from rmr1.training.checkpoints import commit, staging_folder  # noqa: E402
from rmr1.training.run import TrainingRun, card_of, check_launch, weights_on_disk  # noqa: E402


def hardware(device="cpu"):
    return Hardware(device, "float32", packing=False, gradient_checkpointing=False, processes=1, rank=0)


class Trainer:
    """Is interrupted in its last step, or before."""

    def __init__(self, finished):
        self.callback = SimpleNamespace(interrupted=False, finished=finished)

    def train(self, resume_from_checkpoint):
        self.callback.interrupted = True


def test_an_interruption_in_the_last_step_does_not_throw_the_training_away(tmp_path):
    run = TrainingRun(SftConfig(), hardware(), tmp_path, None, NullCallbacks())
    run.train(Trainer(finished=True), None)
    with pytest.raises(KeyboardInterrupt):
        run.train(Trainer(finished=False), None)


def test_one_process_that_sees_several_gpus_is_told_how_to_begin(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    check_launch(hardware("cpu"))
    with pytest.raises(
        ConfigError, match="8 GPUs and one process: begin with accelerate launch --multi_gpu --num_processes 8"
    ):
        check_launch(hardware("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check_launch(hardware("cuda"))


@pytest.mark.parametrize(("matrix_units", "instructions"), [(False, False), (False, True), (True, False)])
def test_a_cpu_computes_in_bfloat16_where_it_has_instructions_for_it(monkeypatch, matrix_units, instructions):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: matrix_units)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions)
    expected = "bfloat16" if matrix_units or instructions else "float32"
    assert detect_hardware().precision == expected
    assert detect_hardware(precision="float32").precision == "float32"


def test_a_model_of_the_catalogue_is_asked_as_the_catalogue_says(tmp_path):
    entry = find_model("rm-r1-deepseek-distilled-qwen-7b")
    for name in (entry.name, f"hf/{entry.hub.repository}"):
        card = card_of(SftConfig(model=name), tmp_path, None)
        assert (card.template, card.think) == (entry.template, entry.think) == ("reasoning-native", "open")
    assert card_of(SftConfig(model=entry.name, think="closed"), tmp_path, "cor").think == "closed"


def test_a_hub_model_that_is_partly_there_is_fetched(tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    asked = []

    def snapshot_download(repository, *, allow_patterns, local_files_only=False):
        asked.append(local_files_only)
        if not local_files_only:
            (tmp_path / "model.safetensors").touch()
        return str(tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    (tmp_path / "config.json").write_text("{}")
    said = []
    assert hf_model.hf_folder("someone/model", said.append) == tmp_path
    assert (asked, said) == ([True, False], ["fetching someone/model from the hub"])
    assert hf_model.hf_folder("someone/model", said.append) == tmp_path
    assert asked == [True, False, True]


def resumed(folder, steps, done=3):
    """The steps that are kept of a training whose metrics are these, with a checkpoint after step ``done``."""
    with RunDirectory(folder, {}) as directory:
        written = staging_folder(folder / "checkpoints") / f"checkpoint-{done}"
        written.mkdir()
        (written / "weights").write_bytes(b"w")
        commit(written, folder / "checkpoints")
        with directory.rewrite("metrics.jsonl", sealed=True) as add:
            for kind, step in steps:
                add({"kind": kind, "step": step})
        TrainingRun(SftConfig(), hardware(), folder, directory, NullCallbacks()).find_checkpoint(frozenset({0, 2, 4}))
        with directory.journal("metrics.jsonl") as metrics:
            return [(line["kind"], line["step"]) for line in metrics]


WHOLE = [("held_out", 0), ("step", 1), ("step", 2), ("held_out", 2), ("step", 3), ("step", 4), ("held_out", 4)]


def test_metrics_after_the_checkpoint_are_dropped(tmp_path):
    assert resumed(tmp_path, WHOLE) == WHOLE[:5]


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (WHOLE[:2] + WHOLE[3:], r"jsonl:3: step 2 of kind .held_out. stands in the place of step 2 of kind .step."),
        (WHOLE[:2] + WHOLE[1:], r"jsonl:3: step 1 of kind .step. stands in the place of step 2 of kind .step."),
        (WHOLE[:4] + WHOLE[3:], r"jsonl:5: step 2 of kind .held_out. stands in the place of step 3"),
        (WHOLE[1:], r"jsonl:1: step 1 of kind .step. stands in the place of step 0 of kind .held_out."),
        (WHOLE[:3] + WHOLE[4:], r"jsonl:4: step 3 of kind .step. stands in the place of step 2 of kind .held_out."),
        (WHOLE[:3], r"jsonl:4: step 2 of kind .held_out. is missing, with all after it"),
        ([], r"jsonl:1: step 0 of kind .held_out. is missing"),
        ([("step", "1")], r"metrics\.jsonl:1: not the metrics"),
    ],
)
def test_metrics_that_are_missing_or_there_twice_are_refused(tmp_path, steps, told):
    with pytest.raises(JournalError, match=told):
        resumed(tmp_path, steps)


@pytest.mark.parametrize(
    ("error", "stored"),
    [
        (RuntimeError("[enforce fail at inline_container.cc:820] . PytorchStreamWriter failed writing file"), True),
        (OSError(28, "No space left on device"), True),
        (RuntimeError("CUDA out of memory"), False),
    ],
)
def test_weights_that_cannot_be_written_are_told(error, stored):
    with pytest.raises(StorageError if stored else RuntimeError) as raised, weights_on_disk(Path("runs/x/model")):
        raise error
    assert not stored or str(raised.value).startswith("runs/x/model: ")
