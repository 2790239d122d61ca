from rmr1.models import find_model, load_catalogue
from rmr1.prompts import load_template


def test_the_six_released_checkpoints_are_entries():
    released = [entry for entry in load_catalogue().values() if entry.name.startswith("rm-r1-")]
    assert len(released) == 6
    for entry in released:
        native = "DeepSeek" in entry.hub.repository
        assert entry.template == ("reasoning-native" if native else "cor-skeleton")
        assert entry.think == ("open" if native else "closed")
        assert entry.exact_template == "model card"
        assert load_template(entry.template)


def test_models_are_found_by_name_and_by_repository():
    assert find_model("SmolLM2-135M-Instruct").name == "smollm2-135m-instruct"
    assert find_model("gaotang/RM-R1-DeepSeek-Distilled-Qwen-32B").name == "rm-r1-deepseek-distilled-qwen-32b"
    assert find_model("nothing") is None
