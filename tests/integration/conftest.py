"""The real small model."""

from pathlib import Path

import pytest

from rmr1.models import cached_file, find_model


@pytest.fixture(scope="session")
def small_model() -> Path:
    """The GGUF file of the embedded engine's default model."""
    pytest.importorskip("xllamacpp", reason="the llamacpp extra is not installed")
    path = cached_file(find_model("smollm2-135m-instruct"))
    if path is None:
        pytest.skip('the small model is not on this machine; "rmr1 pull smollm2-135m-instruct" fetches it')
    return path
