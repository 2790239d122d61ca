"""The tokens of a GGUF file that are not plain ones."""

import pytest

pytest.importorskip("gguf", reason="the train extra is not installed")

from rmr1.errors import ModelNotFoundError
from rmr1.models.gguf_vocabulary import special_tokens
from tests.support.vocabularies import FAMILIES, gguf_file


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gguf")
    return {name: gguf_file(family, folder / f"{name}.gguf") for name, family in FAMILIES.items()}


@pytest.mark.parametrize("name", FAMILIES)
def test_control_added_unknown_and_byte_tokens_are_found(files, name):
    family, found = FAMILIES[name], special_tokens(files[name])
    by_kind = {
        kind: [text for text, _, each in found if each == kind] for kind in ("control", "added", "byte", "unknown")
    }
    assert by_kind["control"] == list(family.special)
    assert by_kind["added"] == [*family.marks, *family.words]
    assert len(by_kind["byte"]) == (256 if family.pieces else 0)
    assert by_kind["unknown"] == (["<unk>"] if family.pieces else [])
    assert all(
        token == number for number, (_, token, kind) in enumerate(found) if kind == "control" and not family.pieces
    )


def test_a_damaged_file_is_named(files, tmp_path):
    whole = files["smollm2"].read_bytes()
    for number, content in enumerate((b"", b"GGUF", b"no model at all", whole[:200], whole[:8] + b"\xff" * 60)):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(content)
        with pytest.raises(ModelNotFoundError, match=rf"{number}\.gguf: is no whole GGUF file .*; fetch it again"):
            special_tokens(path)
