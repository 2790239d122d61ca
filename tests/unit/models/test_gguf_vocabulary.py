"""The tokens of a GGUF file that are not plain ones, and whether the file is whole."""

import pytest

pytest.importorskip("gguf", reason="the train extra is not installed")

from rmr1.errors import ModelNotFoundError
from rmr1.models.gguf_vocabulary import read_gguf_head, special_tokens
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


@pytest.mark.parametrize("name", FAMILIES)
def test_the_head_says_what_the_file_is(files, name):
    family, head = FAMILIES[name], read_gguf_head(files[name])
    assert (head.architecture, head.context, head.template) == ("llama", 512, family.template)
    assert (head.begin, head.adds_begin) == (family.bos or "", family.bos is not None)
    assert head.missing_bytes == 0


def test_a_file_that_is_cut_says_how_much_it_lacks(files, tmp_path):
    whole = files["smollm2"].read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole[:-100])
    missing = read_gguf_head(path).missing_bytes
    assert 100 - 32 <= missing <= 100  # the end of the last tensor may be filled up to a multiple of 32
    path.write_bytes(whole[:200])
    with pytest.raises(ModelNotFoundError, match=r"cut\.gguf: is no whole GGUF file .*; fetch it again"):
        read_gguf_head(path)
