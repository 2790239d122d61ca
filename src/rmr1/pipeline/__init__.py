"""The stages of a recipe as one resumable run."""

from rmr1.pipeline.recipe import TrainRecipe, load_train_recipe
from rmr1.pipeline.run import TrainCallbacks, TrainResult, train

__all__ = ["TrainCallbacks", "TrainRecipe", "TrainResult", "load_train_recipe", "train"]
