"""How a training ends, and with what it does not begin."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("trl", reason="the train extra is not installed")

from rmr1.config import SftConfig  # noqa: E402
from rmr1.errors import ConfigError  # noqa: E402
from rmr1.models import find_model  # noqa: E402
from rmr1.models import loading as hf_model  # noqa: E402
from rmr1.models.hardware import Hardware, detect_hardware  # noqa: E402
from rmr1.runs import NullCallbacks  # noqa: E402
from rmr1.training.run import TrainingRun, card_of, check_launch  # noqa: E402


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
