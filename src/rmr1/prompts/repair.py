"""The prompt of the second pass: a failed completion, the right verdict, and the demand for a completion that earns it."""

from __future__ import annotations

from rmr1.prompts.fence import fence
from rmr1.prompts.render import Prompt, SystemRole, as_messages, render_prompt
from rmr1.prompts.templates import RepairTemplate, Template, substitute
from rmr1.records import Comparison, Side

_NO_INSTRUCTIONS = "(none beside those in the item)"


def render_repair(
    comparison: Comparison,
    template: Template,
    repair: RepairTemplate,
    *,
    failed: str,
    fault: str,
    verdict: Side,
    fenced: bool = True,
    system_role: SystemRole = "system",
) -> Prompt:
    """Write the repairer's prompt (paper section 3.2, second pass; the words are ours).

    The item stands in it exactly as the student will see it. The failed completion is a model's text and is fenced like any other.

    Args:
        comparison: The item.
        template: How the judge sees it.
        repair: The repairer's template.
        failed: The completion that failed.
        fault: What is wrong with it, a sentence.
        verdict: The right verdict, in shown sides.
        fenced: Disarm marks inside the texts.
        system_role: As in ``render_prompt``.
    """
    judge = render_prompt(comparison, template, fenced=fenced)
    shown, marks = fence(failed) if fenced else (failed, 0)
    system = substitute(repair.system, {"instructions": template.system or _NO_INSTRUCTIONS})
    user = substitute(
        repair.user, {"item": judge.messages[-1].content, "failed": shown, "fault": fault, "verdict": verdict}
    )
    return Prompt(as_messages(system, user, system_role), judge.fenced + marks)
