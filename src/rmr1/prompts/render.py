"""The one renderer: turns a comparison and a template into the messages that a judge, or a repairer of traces, reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rmr1.arguments import expect
from rmr1.errors import DataError
from rmr1.prompts.fencing import fence
from rmr1.prompts.templates import ChoiceTemplate, RepairTemplate, Template, substitute
from rmr1.records import Comparison, Message, Side

SystemRole = Literal["system", "merge"]
_NO_INSTRUCTIONS = "(none beside those in the item)"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the judge reads, and how many marks in it were fenced."""

    messages: tuple[Message, ...]
    fenced: int


def render_prompt(
    comparison: Comparison, template: Template, *, fenced: bool = True, system_role: SystemRole = "system"
) -> Prompt:
    """Write the judge's prompt (paper section 3.1 and its prompt tables).

    A prompt of one user message with one assistant message on each side is shown as a question with two responses; anything else
    as two whole conversations. In a conversation, turns of the side's own chatbot carry that side's name, also in the shared
    prefix. (The released training data misspells the name of B exactly where A is better; this renderer never knows the label.)
    A template that rates shows the response that is shown first, alone and without a name.

    Args:
        comparison: What to show.
        template: How to show it.
        fenced: Disarm marks inside the texts, see ``rmr1.prompts.fencing``.
        system_role: "merge" puts the system part at the start of the user turn, for models without a system role.

    Raises:
        DataError: The template shows a reference answer or a rubric, and the pair has none.
    """
    expect("comparison", comparison, Comparison, "a Comparison, such as show(pair, order) gives")
    expect("template", template, Template, "a Template, such as load_template(name) gives")
    fencer = _Fencer(fenced)
    notes = _notes(comparison, template, fencer)
    if template.rates:
        user = _rated(comparison, template, fencer, notes)
    elif _is_single_turn(comparison):
        user = substitute(
            template.single_turn,
            {
                "question": fencer.text(comparison.prompt[0].content),
                "response_a": fencer.text(comparison.shown_a[0].content),
                "response_b": fencer.text(comparison.shown_b[0].content),
                **notes,
            },
        )
    else:
        user = substitute(
            template.multi_turn,
            {
                "conversation_a": fencer.conversation((*comparison.prompt, *comparison.shown_a), "A"),
                "conversation_b": fencer.conversation((*comparison.prompt, *comparison.shown_b), "B"),
                **notes,
            },
        )
    return Prompt(_as_messages(template.system, user, system_role), fencer.count)


def render_choice(
    prompt: Sequence[Message],
    responses: Sequence[str],
    template: ChoiceTemplate,
    *,
    fenced: bool = True,
    system_role: SystemRole = "system",
) -> Prompt:
    """Write the prompt that asks for the best of four responses.

    Args:
        prompt: The conversation up to the responses; one that has several turns is shown with the names of its speakers.
        responses: The responses in the order in which they are shown.
        template: How to show them.
        fenced: Disarm marks inside the texts.
        system_role: As in ``render_prompt``.
    """
    fencer = _Fencer(fenced)
    alone = [message.role for message in prompt] == ["user"]
    question = fencer.text(prompt[0].content) if alone else fencer.conversation(prompt)
    shown = {f"response_{letter}": fencer.text(text) for letter, text in zip("abcd", responses, strict=True)}
    user = substitute(template.user, {"question": question, **shown})
    return Prompt(_as_messages(template.system, user, system_role), fencer.count)


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

    It holds the item exactly as the student will see it. The failed completion is a model's text and is fenced like any other.

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
    return Prompt(_as_messages(system, user, system_role), judge.fenced + marks)


def _notes(comparison: Comparison, template: Template, fencer: _Fencer) -> dict[str, str]:
    """What the template shows of a pair besides its texts."""
    given = {"reference": comparison.reference, "rubric": comparison.rubric}
    for slot in template.slots:
        if not given[slot].strip():
            raise DataError(
                f"pair {comparison.pair_id}: the template {template.name} shows {{{{{slot}}}}}, and the pair has none; "
                f"name its column with --columns {slot}=COLUMN, set it in the PreferencePair, or take another template"
            )
    return {slot: fencer.text(given[slot]) for slot in template.slots}


def _rated(comparison: Comparison, template: Template, fencer: _Fencer, notes: dict[str, str]) -> str:
    """The user part of a template that shows one response. What it shows depends on nothing of the other one."""
    shown = comparison.shown_a
    if _is_one(comparison.prompt, "user") and _is_one(shown, "assistant"):
        texts = {"question": fencer.text(comparison.prompt[0].content), "response": fencer.text(shown[0].content)}
        return substitute(template.single_turn, texts | notes)
    return substitute(template.multi_turn, {"conversation": fencer.conversation((*comparison.prompt, *shown)), **notes})


def _is_single_turn(comparison: Comparison) -> bool:
    return (
        _is_one(comparison.prompt, "user")
        and _is_one(comparison.shown_a, "assistant")
        and _is_one(comparison.shown_b, "assistant")
    )


def _is_one(turns: Sequence[Message], role: str) -> bool:
    return [message.role for message in turns] == [role]


def _as_messages(system: str | None, user: str, system_role: SystemRole) -> tuple[Message, ...]:
    """A system part and a user part as messages."""
    if system is None:
        return (Message("user", user),)
    if system_role == "merge":
        return (Message("user", f"{system}\n\n{user}"),)
    return (Message("system", system), Message("user", user))


class _Fencer:
    def __init__(self, active: bool) -> None:
        self.active = active
        self.count = 0

    def text(self, text: str, *, conversation: bool = False) -> str:
        if not self.active:
            return text
        text, marks = fence(text, conversation=conversation)
        self.count += marks
        return text

    def conversation(self, turns: Iterable[Message], side: Side | None = None) -> str:
        speakers = {"assistant": f"Chatbot {side}" if side else "Chatbot"}
        return "\n".join(
            f"{speakers.get(turn.role, turn.role.capitalize())}: {self.text(turn.content, conversation=True)}"
            for turn in turns
        )
