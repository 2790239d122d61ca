"""Trained judges as files that others can use: GGUF for llama.cpp, a Hugging Face folder with a model card."""

from rmr1.export.run import Exported, ExportTask, export_model

__all__ = ["ExportTask", "Exported", "export_model"]
