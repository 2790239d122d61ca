"""What comes from the world is read or refused with a reason; what cannot be written is told with its place and the fix."""

import errno
import os

import pytest

from rmr1.errors import DownloadError, StorageError
from rmr1.files import YamlError, parse_json, parse_yaml, read_text, storage, storage_problem, write_text, write_whole


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
        ("9" * 400, "a number of 400 digits is too large"),
        ("-" + "9" * 5000, "a number of 5001 digits is too large"),
        ("1e999", "the number 1e999 is too large"),
        ("NaN", "NaN is not a number in JSON"),
        ('{"x": -Infinity}', "-Infinity is not a number in JSON"),
        ('{"x": 1, "y": {"z": 1, "z": 2}}', 'the key "z" is there twice'),
        (b"\xff", "codec can't decode"),
        ('{"x": 1}\0', "Extra data"),
        ("", "Expecting value"),
        ('{"x": 1', "Expecting ',' delimiter"),
    ],
)
def test_json_that_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_json(text)


def test_json_that_is_read():
    assert parse_json(b'\xef\xbb\xbf{"x": [1, 2.5, "\\ud800", null]}') == {"x": [1, 2.5, "\ud800", None]}
    assert parse_json("9" * 300) == int("9" * 300)
    assert str(parse_json('{"x": NaN}', finite=False)) == "{'x': nan}"


def bomb(wrap):
    lines = ["a: &a " + wrap(["x"] * 9)]
    lines += [f"{one}: &{one} " + wrap([f"*{other}"] * 9) for other, one in zip("abcdefgh", "bcdefghi", strict=True)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("a: [", "not YAML", 1),
        ("[" * 100_000, "nested too deeply", None),
        ("- " * 50_000, "nested too deeply", None),
        (bomb(lambda items: f"[{', '.join(items)}]"), "its aliases stand for too many values", 7),
        (bomb(lambda items: "{<<: [" + ", ".join(items) + "]}").replace("[x, x", "[{x: 1}, {x: 1}"), "its aliases", 7),
        ("a: &a [*a]", "an alias stands inside what it stands for", 1),
        ("a: " + "9" * 5000, "not YAML: Exceeds the limit", None),
        ("a: 2001-99-99", "not YAML: month must be", None),
        ("a: 1\0", "not YAML: unacceptable character", None),
        ("? [a]\n: 1", "not YAML: found unhashable key", 1),
        ("a: !!python/object:os.system x", "not YAML: could not determine a constructor", 1),
        ("a: 1\n---\nb: 2", "not YAML: but found another document", 2),
        ("a: " + "x" * (1 << 20), "more than 1048576 characters", None),
    ],
)
def test_yaml_that_is_refused(text, reason, line):
    with pytest.raises(YamlError, match=reason) as refused:
        parse_yaml(text)
    assert refused.value.line == line


def test_yaml_that_is_read():
    assert parse_yaml("")[0] is None
    value, _ = parse_yaml("packing: on\nbase: &base {seed: 1}\nrun: {<<: *base, votes: 2}\ntwice: [*base, *base]\n")
    assert value["packing"] == "on"
    assert value["run"] == {"seed": 1, "votes": 2}
    assert value["twice"] == [{"seed": 1}, {"seed": 1}]


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "x/y: No space left on device; free some space and run the same command again"),
        (errno.EACCES, "x/y: Permission denied; change its permissions"),
        (errno.EROFS, "x/y: Read-only file system; choose a place"),
        (errno.EISDIR, "x/y: Is a directory; give a file"),
        (errno.ENAMETOOLONG, "x/y: File name too long; choose a shorter name"),
        (errno.EIO, "x/y: Input/output error; the disk has failed"),
    ],
)
def test_an_error_of_the_system_says_where_what_and_the_fix(number, told):
    with pytest.raises(StorageError) as raised, storage("x/y"):
        raise OSError(number, os.strerror(number), "somewhere/else")
    assert str(raised.value).startswith(told)
    assert storage_problem(OSError(number, os.strerror(number), "x/y")).startswith(told)


@pytest.mark.parametrize("error", [BrokenPipeError(), ConnectionResetError(), DownloadError("gone"), KeyError("x")])
def test_what_is_not_about_storage_passes(error):
    with pytest.raises(type(error)) as raised, storage("x"):
        raise error
    assert raised.value is error


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "page.html"
    write_text(path, "one")
    with pytest.raises(ZeroDivisionError), write_whole(path) as file:
        file.write(b"two")
        raise ZeroDivisionError
    assert (path.read_text(), [one.name for one in path.parent.iterdir()]) == ("one", ["page.html"])
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"folder: Is a directory"):
        write_text(tmp_path / "folder", "x")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "new"]


def test_the_failures_of_others_are_not_taken_for_the_file(tmp_path):
    with pytest.raises(OSError, match="another disk") as raised, write_whole(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "another disk")
    assert not isinstance(raised.value, StorageError)


def test_text_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "x").write_bytes(b"ab\xff")
    with pytest.raises(ValueError, match="not UTF-8: byte 0xff at byte 3"):
        read_text(tmp_path / "x")
    with pytest.raises(StorageError, match="nowhere: No such file or directory; check the path"):
        read_text(tmp_path / "nowhere")
