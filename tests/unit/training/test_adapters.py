"""Adapters that are merged into their model, by a process that may end at any moment."""

import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")
peft = pytest.importorskip("peft", reason="the train extra is not installed")

from rmr1.models.loading import load_causal_lm  # noqa: E402
from rmr1.training.adapters import merge_adapters  # noqa: E402
from tests.support.tiny_model import write_tiny_model  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
IDS = torch.arange(20)[None]


class Killed(BaseException):
    """Nothing is done after it."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the base model and one with adapters of it, and the logits of both together."""
    folder = tmp_path_factory.mktemp("trained")
    write_tiny_model(folder / "base")
    model, _ = load_causal_lm(str(folder / "base"))
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    with torch.no_grad():
        expected = adapted.eval()(input_ids=IDS).logits
    shutil.copytree(folder / "base", folder / "run")
    (folder / "run/model.safetensors").unlink()
    adapted.save_pretrained(folder / "run")
    return folder, expected


@pytest.mark.parametrize("calls", range(4))
def test_a_merge_that_was_killed_is_done_again(trained, tmp_path, monkeypatch, calls):
    """Killed before the model is written, or after one of the adapters' files is gone."""
    folder, expected = trained
    run = tmp_path / "run"
    shutil.copytree(folder / "run", run)
    unlink, gone = Path.unlink, []

    def dying(path, *given, **more):
        if path.name.startswith("adapter_"):
            if len(gone) == calls - 1:
                raise Killed
            gone.append(path.name)
        unlink(path, *given, **more)

    monkeypatch.setattr(Path, "unlink", dying)
    if calls == 0:
        monkeypatch.setattr(
            "transformers.PreTrainedModel.save_pretrained", lambda *given, **more: (_ for _ in ()).throw(Killed)
        )
    try:
        merge_adapters(run, folder / "base", "float32")
    except Killed:
        assert calls < 3
    monkeypatch.undo()
    merge_adapters(run, folder / "base", "float32")
    assert not list(run.glob("adapter_*"))
    with torch.no_grad():
        found = load_causal_lm(str(run))[0](input_ids=IDS).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
