"""Samples of a page: thousands of them packed, none of whose texts can break out."""

import dataclasses
import re

from rmr1.report.page import macro
from rmr1.report.samples import BLOCK, pack_samples
from tests.support.html_tree import parse
from tests.support.packed import unpacked
from tests.support.reports import HOSTILE, make_sample, make_vote, say


def pack(samples):
    return pack_samples(samples, macro("sample.html.j2", "sample_line"), macro("sample.html.j2", "sample_body"))


def test_hostile_texts_stay_texts():
    sample = make_sample(
        id=HOSTILE,
        category=HOSTILE,
        prompt=say(HOSTILE, HOSTILE),
        response_a=say(HOSTILE),
        votes=(make_vote(text=HOSTILE, problems=(HOSTILE,)),),
    )
    packed = pack([sample])
    assert not re.search(r"[<>\"'&]", packed.index + "".join(packed.blocks))
    ((_, category, line),) = unpacked(packed.index)
    ((body, searched),) = unpacked(packed.blocks[0])
    assert category == HOSTILE
    assert HOSTILE in searched
    for markup in (line, body):
        tags = {node.tag for node in parse(markup).walk()}
        assert not tags & {"script", "img", "style"}
        assert all(not name.startswith("on") for node in parse(markup).walk() for name in node.attrs)


def test_blocks_hold_all_samples_in_order():
    samples = [make_sample(id=f"pair-{number}") for number in range(2 * BLOCK + 1)]
    packed = pack(iter(samples))
    rows = [row for block in packed.blocks for row in unpacked(block)]
    assert [len(unpacked(block)) for block in packed.blocks] == [BLOCK, BLOCK, 1]
    assert [str(row[1]).split("\n")[0] for row in rows] == [sample.id for sample in samples]
    assert all(f'href="#sample-{number}"' in row[0] for number, row in enumerate(rows, 1))


def test_lone_surrogates_do_not_stop_a_page():
    packed = pack([make_sample(prompt=say("half \ud800", "user"))])
    assert "half ?" in unpacked(packed.blocks[0])[0][1]


def test_equal_samples_are_packed_to_equal_bytes():
    sample = make_sample()
    assert pack([sample]) == pack([dataclasses.replace(sample)])
