import errno
import json
import os

import pytest

from rmr1.errors import JournalError, RunError, RunLockedError, RunMismatchError, StorageError
from rmr1.runs import Journal, RunDirectory, default_run_name, read_document, read_journal, read_manifest
from tests.support.runs import edit_json


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
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        for record in ({"n": 0}, {"n": 1}, {"text": "x" * 100_000}):
            journal.append(record)
    whole = path.read_bytes()
    cut = min(length, len(whole)) if length < 20 else len(whole) - (length - 20)
    path.write_bytes(whole[:cut])
    with Journal(path) as journal:
        kept = list(journal)
        assert journal.was_cut == (not whole[:cut].endswith(b"\n") and cut > 0)
        assert len(kept) == whole[:cut].count(b"\n")
        journal.append({"n": 9})
        assert [*journal] == [*kept, {"n": 9}]


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        journal.append({"n": 0})
    whole = path.read_bytes()
    path.write_bytes(whole + b"nonsense\n" + whole)
    with Journal(path) as journal, pytest.raises(JournalError, match=r"j\.jsonl:2: the line was changed"):
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


@pytest.mark.parametrize("schema", [{}, {"schema": 1}, {"schema": 4}])
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
        assert [(line.place, line.record["n"]) for line in journal.lines()] == list(zip(places, range(5), strict=True))
        assert journal.read(journal.append({"n": 5})) == {"n": 5}


def test_a_file_is_rewritten_whole_or_not_at_all(tmp_path):
    with RunDirectory(tmp_path / "r", {}) as run:
        with run.rewrite("x.jsonl") as add:
            add({"n": 1})
        with pytest.raises(ZeroDivisionError), run.rewrite("x.jsonl") as add:
            add({"n": 2})
            raise ZeroDivisionError
        assert (run.path / "x.jsonl").read_text() == '{"n":1}\n'
        assert sorted(path.name for path in run.path.iterdir()) == [".lock", "run.json", "x.jsonl"]


def test_only_the_run_that_wrote_a_journal_reads_it(tmp_path):
    for name, seed in (("one", 1), ("other", 2)):
        with RunDirectory(tmp_path / name, {"seed": seed}) as run, run.journal("c.jsonl") as journal:
            journal.append({"seed": seed})
    assert [line.record for line in read_journal(tmp_path / "one", "c.jsonl")] == [{"seed": 1}]
    assert list(read_journal(tmp_path / "one", "none.jsonl")) == []
    foreign = (tmp_path / "other" / "c.jsonl").read_bytes()
    (tmp_path / "one" / "c.jsonl").write_bytes(foreign)
    with pytest.raises(JournalError, match=r"c\.jsonl:1: the line was changed after it was written, or another run"):
        list(read_journal(tmp_path / "one", "c.jsonl"))
    (tmp_path / "other" / "faults.jsonl").write_bytes(foreign)
    with pytest.raises(JournalError, match=r"faults\.jsonl:1"):
        list(read_journal(tmp_path / "other", "faults.jsonl"))


def test_a_journal_without_its_manifest_belongs_to_nobody(tmp_path):
    with RunDirectory(tmp_path, {"seed": 1}) as run, run.journal("c.jsonl") as journal:
        journal.append({"n": 1})
    (tmp_path / "run.json").unlink()
    with pytest.raises(RunMismatchError, match=r"c\.jsonl: a journal without the run\.json"):
        RunDirectory(tmp_path, {"seed": 1})
    assert not (tmp_path / "run.json").exists()


def test_other_files_may_lie_in_a_new_run(tmp_path):
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "x"}\n')
    (tmp_path / "empty.jsonl").write_text("")
    with RunDirectory(tmp_path, {"seed": 1}):
        pass


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda manifest: manifest["identity"].update(seed=2), r"changed after it was written \(seed was 2, now 1\)"),
        (lambda manifest: manifest.update(created=7), "created: Input should be a valid string"),
        (lambda manifest: manifest.pop("platform"), "platform: Field required"),
        (lambda manifest: manifest.update(identity=[]), "identity: Input should be"),
        (lambda manifest: manifest.update(colour="red"), "colour: Extra inputs"),
        (lambda manifest: manifest.update(python="2.7"), "changed after it was written; restore"),
        (lambda manifest: manifest.pop("check"), "changed after it was written"),
    ],
)
def test_an_edited_manifest_is_refused_by_field(tmp_path, change, names):
    with RunDirectory(tmp_path, {"seed": 1}):
        pass
    edit_json(tmp_path / "run.json", change)
    with pytest.raises(RunMismatchError, match=names):
        RunDirectory(tmp_path, {"seed": 1})


def test_a_json_file_comes_back_from_its_run_alone(tmp_path):
    content = {"kind": "x", "share": 0.1, "text": "\ud800é", "pair": (1, 2)}
    with RunDirectory(tmp_path, {"seed": 1}) as run:
        path = run.write_json("results.json", content)
        assert run.read_json("results.json") == {**content, "pair": [1, 2]}
        assert read_document(tmp_path, "results.json") == {**content, "pair": [1, 2]}
        with pytest.raises(FileNotFoundError):
            run.read_json("other.json")
        (tmp_path / "other.json").write_bytes(path.read_bytes())
        with pytest.raises(RunError, match=r"other\.json: changed after it was written, or another run wrote it"):
            run.read_json("other.json")
        edit_json(path, lambda kept: kept.update(share=0.2))
        with pytest.raises(RunError, match=r"results\.json: changed"):
            run.read_json("results.json")
        path.write_text("[" * 100_000)
        with pytest.raises(RunError, match=r"results\.json: nested too deeply"):
            run.read_json("results.json")


def test_a_line_that_cannot_be_written_whole_is_not_written(tmp_path, monkeypatch):
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.append({"n": 1})
        before = journal.path.read_bytes()

        def full(file, line, write=os.write):
            if len(line) > 5:
                return write(file, line[:5])
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            with pytest.raises(StorageError, match=r"j\.jsonl: No space left on device; free some space"):
                journal.append({"n": 1234})
        assert journal.path.read_bytes() == before
        journal.append({"n": 2})
        assert [record["n"] for record in journal] == [1, 2]


def ledger_of(folder, records=()):
    with RunDirectory(folder, {"seed": 1}) as run, run.ledger("spent.jsonl") as ledger:
        for record in records:
            ledger.append(record)
        return [line.record for line in ledger.lines()]


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda lines: lines[:1] + lines[2:], r"spent\.jsonl:3: lines are missing here"),
        (
            lambda lines: [lines[0], lines[0], *lines[2:]],
            r"spent\.jsonl:2: the line was changed after it was written, or lines",
        ),
        (lambda lines: [lines[1], lines[0], lines[2]], r"spent\.jsonl:1: the line was changed"),
        (lambda lines: lines[:2], r"spent\.jsonl:3: lines are missing here; restore the file, or choose another --run"),
        (lambda lines: [*lines, lines[2]], r"spent\.jsonl:4: the line was changed"),
        (lambda lines: [], r"spent\.jsonl:1: lines are missing here"),
    ],
)
def test_no_line_of_a_ledger_can_go_or_move(tmp_path, edit, told):
    records = [{"n": number} for number in range(3)]
    assert ledger_of(tmp_path, records[:2]) == records[:2]
    assert ledger_of(tmp_path, records[2:]) == records
    path = tmp_path / "spent.jsonl"
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(JournalError, match=told):
        ledger_of(tmp_path)


def test_where_ledgers_end_is_not_forgotten(tmp_path):
    assert ledger_of(tmp_path, [{"n": 1}])
    whole = (tmp_path / "spent.jsonl").read_bytes()
    (tmp_path / "spent.jsonl").unlink()
    with pytest.raises(JournalError, match=r"spent\.jsonl:1: lines are missing here"):
        ledger_of(tmp_path)
    (tmp_path / "spent.jsonl").write_bytes(whole)
    assert ledger_of(tmp_path) == [{"n": 1}]
    (tmp_path / "ledgers.json").unlink()
    with pytest.raises(JournalError, match=r"spent\.jsonl:2: the file that says where spent\.jsonl ends is missing"):
        ledger_of(tmp_path)


def test_a_ledger_goes_on_after_a_kill_in_the_middle_of_a_line(tmp_path):
    with RunDirectory(tmp_path, {"seed": 1}) as run:
        ledger = run.ledger("spent.jsonl")
        ledger.append({"n": 1})
        ledger.append({"n": 2})
        with (tmp_path / "spent.jsonl").open("ab") as torn:  # the process is gone: nothing is closed
            torn.write(b'{"n":3,"che')
    assert ledger_of(tmp_path, [{"n": 3}]) == [{"n": 1}, {"n": 2}, {"n": 3}]
    ledger.close()
