import json

import pytest

from rmr1.errors import JournalError, RunLockedError, RunMismatchError
from rmr1.runs import Journal, RunDirectory, default_run_name, read_manifest


def test_records_come_back_in_order(tmp_path):
    with Journal(tmp_path / "j.jsonl") as journal:
        for number in range(5):
            journal.append({"n": number, "text": 'ü\n"\u2028'})
        assert [record["n"] for record in journal] == [0, 1, 2, 3, 4]
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.append({"n": 5})
        assert [record["n"] for record in journal] == [0, 1, 2, 3, 4, 5]


def test_lone_surrogate_survives(tmp_path):
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.append({"text": "\ud800"})
        assert next(iter(journal)) == {"text": "\ud800"}


@pytest.mark.parametrize("length", range(0, 40))
def test_a_file_cut_anywhere_keeps_its_whole_lines(tmp_path, length):
    whole = b'{"n":0}\n{"n":1}\n{"text":"' + b"x" * 100_000 + b'"}\n'
    path = tmp_path / "j.jsonl"
    cut = min(length, len(whole)) if length < 20 else len(whole) - (length - 20)
    path.write_bytes(whole[:cut])
    with Journal(path) as journal:
        kept = list(journal)
        assert len(kept) == whole[:cut].count(b"\n")
        journal.append({"n": 9})
        assert [*journal] == [*kept, {"n": 9}]


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"n":0}\nnonsense\n{"n":1}\n')
    with Journal(path) as journal, pytest.raises(JournalError, match=r"j\.jsonl:2: not a record"):
        list(journal)


def test_run_directory_refuses_another_identity(tmp_path):
    with RunDirectory(tmp_path / "run", {"seed": 1, "model": "m"}):
        pass
    with RunDirectory(tmp_path / "run", {"seed": 1, "model": "m"}):
        pass
    with pytest.raises(RunMismatchError, match="seed was 1, now 2"):
        RunDirectory(tmp_path / "run", {"seed": 2, "model": "m"})


def test_run_directory_has_one_writer(tmp_path):
    with RunDirectory(tmp_path / "run", {}), pytest.raises(RunLockedError, match="another process"):
        RunDirectory(tmp_path / "run", {})
    with RunDirectory(tmp_path / "run", {}):
        pass


def test_manifest_tells_what_made_the_run(tmp_path):
    with RunDirectory(tmp_path / "run", {"seed": 1}):
        manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert manifest["identity"] == {"seed": 1}
    assert manifest["versions"]["rmr1"]
    assert {"created", "python", "platform", "command"} <= set(manifest)


def test_foreign_manifest_is_refused(tmp_path):
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(RunMismatchError, match="not a run manifest"):
        RunDirectory(tmp_path, {})


@pytest.mark.parametrize("schema", [{}, {"schema": 1}, {"schema": 3}])
def test_a_run_of_another_version_is_refused(tmp_path, schema):
    (tmp_path / "run.json").write_text(json.dumps({**schema, "identity": {"seed": 1}}))
    with pytest.raises(RunMismatchError, match=r"made by another version of rmr1; .* another --run"):
        RunDirectory(tmp_path, {"seed": 1})
    with pytest.raises(RunMismatchError, match="another version"):
        read_manifest(tmp_path)


def test_run_names():
    name = default_run_name("judge", "my pairs/v2", {"a": 1})
    assert name.startswith("judge-my-pairs-v2-")
    assert name == default_run_name("judge", "my pairs/v2", {"a": 1})
    assert name != default_run_name("judge", "my pairs/v2", {"a": 2})


def test_a_record_is_found_again_by_its_place(tmp_path):
    with Journal(tmp_path / "j.jsonl") as journal:
        places = [journal.append({"n": number, "text": "é" * number}) for number in range(5)]
        assert [journal.read(place)["n"] for place in reversed(places)] == [4, 3, 2, 1, 0]
    with Journal(tmp_path / "j.jsonl") as journal:
        assert [(place, record["n"]) for place, record in journal.places()] == list(zip(places, range(5), strict=True))
        assert journal.read(journal.append({"n": 5})) == {"n": 5}


def test_a_file_is_rewritten_whole_or_not_at_all(tmp_path):
    with RunDirectory(tmp_path / "r", {}) as run:
        with run.rewrite("x.jsonl") as add:
            add({"n": 1})
        with pytest.raises(ZeroDivisionError), run.rewrite("x.jsonl") as add:
            add({"n": 2})
            raise ZeroDivisionError
        assert (run.path / "x.jsonl").read_text() == '{"n":1}\n'
