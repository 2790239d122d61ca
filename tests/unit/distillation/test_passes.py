"""What the requests of a pass show."""

from rmr1.distillation.passes import shortened


def test_long_failed_traces_lose_their_middle():
    assert shortened("a" * 10, 10) == "a" * 10
    short = shortened("a" * 200 + "b" * 800 + "c" * 100, 300)
    assert short == "a" * 200 + "\n[... 800 characters left out ...]\n" + "c" * 100
