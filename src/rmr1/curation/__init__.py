"""Training data out of sources of pairs: mixed, screened, split by prompt, with a report of where every row went."""

from rmr1.curation.intake import DataCallbacks
from rmr1.curation.job import CurationResult, curate
from rmr1.curation.recipe import DataRecipe, Difficulty, SourceRecipe, load_recipe

__all__ = ["CurationResult", "DataCallbacks", "DataRecipe", "Difficulty", "SourceRecipe", "curate", "load_recipe"]
