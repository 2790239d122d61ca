"""Training data out of sources of pairs: mixed, screened, split by prompt, with a report of where every row went."""

from rmr1.curation.recipe import DataRecipe, Difficulty, SourceRecipe, load_recipe, recipe_file
from rmr1.curation.run import CurationResult, curate

__all__ = ["CurationResult", "DataRecipe", "Difficulty", "SourceRecipe", "curate", "load_recipe", "recipe_file"]
