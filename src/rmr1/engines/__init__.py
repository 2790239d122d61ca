"""Text generators behind one protocol, found by name and loaded lazily."""

from rmr1.engines.batches import BatchEngine, BatchLedger, batched, has_batches
from rmr1.engines.cached import AnswerCache, CachingEngine, ModelAnswers, answers_folder, clear_answers
from rmr1.engines.protocol import (
    Engine,
    EngineFactory,
    GrammarEngine,
    LearningEngine,
    ScoringEngine,
    TellingEngine,
    gives_scores,
    is_grammar_engine,
    is_learning,
    is_telling,
)
from rmr1.engines.registry import LoadedModel, open_model
from rmr1.engines.replay import prompt_sha256
from rmr1.engines.replies import ThinkHabit, checked_replies, dispatch, fault

__all__ = [
    "AnswerCache",
    "BatchEngine",
    "BatchLedger",
    "CachingEngine",
    "Engine",
    "EngineFactory",
    "GrammarEngine",
    "LearningEngine",
    "LoadedModel",
    "ModelAnswers",
    "ScoringEngine",
    "TellingEngine",
    "ThinkHabit",
    "answers_folder",
    "batched",
    "checked_replies",
    "clear_answers",
    "dispatch",
    "fault",
    "gives_scores",
    "has_batches",
    "is_grammar_engine",
    "is_learning",
    "is_telling",
    "open_model",
    "prompt_sha256",
]
