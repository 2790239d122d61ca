"""The one renderer of judge prompts, its template files and the grammars of their outputs."""

from rmr1.prompts.fence import fence
from rmr1.prompts.grammars import load_grammar
from rmr1.prompts.render import Prompt, SystemRole, render
from rmr1.prompts.templates import Template, load_template, template_names

__all__ = ["Prompt", "SystemRole", "Template", "fence", "load_grammar", "load_template", "render", "template_names"]
