"""How pairs are judged, checked against the engine."""

import pytest

from rmr1 import Judge
from rmr1.config import JudgeConfig
from rmr1.errors import ConfigError
from rmr1.judging import plan_judging
from tests.support.engines import FunctionEngine, prefers


def test_configuration_is_checked_against_the_engine():
    engine = FunctionEngine(prefers("good"))
    with pytest.raises(ConfigError, match="--rule best: unknown; the rules are default, rm-r1-eval"):
        plan_judging(JudgeConfig(rule="best"), engine)
    engine.obeys_grammars = False
    with pytest.raises(ConfigError, match="--constrain: test/function takes no grammar"):
        plan_judging(JudgeConfig(constrain=True), engine)
    with pytest.raises(ConfigError, match="several votes at temperature 0"):
        Judge(engine, votes=3, temperature=0)
