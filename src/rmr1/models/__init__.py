"""Models by name: where they come from, how they want to be asked, and the files they are made of."""

from rmr1.models.catalogue import ModelEntry, find_model, load_catalogue
from rmr1.models.download import cache_directory, cached_file, pull

__all__ = ["ModelEntry", "cache_directory", "cached_file", "find_model", "load_catalogue", "pull"]
