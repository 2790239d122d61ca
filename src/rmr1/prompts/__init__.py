"""The one renderer of judge prompts, its template files and the grammars of their outputs."""

from rmr1.prompts.attacks import ATTACKS, Attack, AttackScene, find_attacks
from rmr1.prompts.fencing import FENCE_SHA256, fence
from rmr1.prompts.render import Prompt, SystemRole, render_choice, render_prompt, render_repair
from rmr1.prompts.templates import (
    SCALAR,
    ChoiceTemplate,
    RepairTemplate,
    Template,
    follows,
    load_choice_template,
    load_grammar,
    load_repair_template,
    load_template,
    template_names,
)

__all__ = [
    "ATTACKS",
    "FENCE_SHA256",
    "SCALAR",
    "Attack",
    "AttackScene",
    "ChoiceTemplate",
    "Prompt",
    "RepairTemplate",
    "SystemRole",
    "Template",
    "fence",
    "find_attacks",
    "follows",
    "load_choice_template",
    "load_grammar",
    "load_repair_template",
    "load_template",
    "render_choice",
    "render_prompt",
    "render_repair",
    "template_names",
]
