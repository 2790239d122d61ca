"""A small random model with its tokenizer, written to a folder; and traces for it."""

import json
from pathlib import Path

from tests.support.engines import answer

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tiny_tokenizer():
    """Bytes as tokens, and the marks of a chat."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def tiny_model(seed: int = 0, **changes):
    """A random Llama of two layers in float32."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 259,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**{**settings, **changes}))


def write_tiny_model(folder: Path, **changes) -> Path:
    tiny_model(**changes).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def trace_row(number: int, label: str = "A", words: int = 3) -> dict:
    """A trace as ``rmr1 distill`` writes it."""
    return {
        "prompt": [
            {"role": "system", "content": "You are a judge of two answers."},
            {"role": "user", "content": f"Question {number}: which is longer?" + " word" * (number % words)},
        ],
        "completion": [{"role": "assistant", "content": f"<eval>Answer {number}.</eval>{answer(label)}"}],
        "id": f"p{number}/ab",
        "label": label,
        "group": f"g{number}",
        "category": "test",
    }


def write_traces(path: Path, count: int) -> Path:
    with path.open("w") as lines:
        for number in range(count):
            lines.write(json.dumps(trace_row(number, "AB"[number % 2])) + "\n")
    return path


def write_tiny_judge(folder: Path, steps: int = 40, **changes) -> Path:
    """A tiny model that answers every prompt with A or B, each about half of the time. Each answer is one token of its own."""
    import torch

    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([answer("A"), answer("B")])
    model = tiny_model(vocab_size=len(tokenizer), **changes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    chance = torch.Generator().manual_seed(0)
    head = tokenizer("<|im_end|>\n<|im_start|>assistant\n")["input_ids"]
    answers = [tokenizer(f"{answer(letter)}<|im_end|>")["input_ids"] for letter in "AB"]
    for _ in range(steps):
        noise = torch.randint(3, 259, (16, 60), generator=chance).tolist()
        chosen = torch.randint(2, (16,), generator=chance).tolist()
        ids = torch.tensor([[*row, *head, *answers[one]] for row, one in zip(noise, chosen, strict=True)])
        labels = ids.clone()
        labels[:, :-2] = -100
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_pairs_file(path: Path, count: int) -> Path:
    """Labelled pairs, the better one now A, now B."""
    with path.open("w") as lines:
        for number in range(count):
            row = {"id": f"p{number}", "prompt": f"Question {number}?", "chosen": f"yes {number}", "rejected": "no"}
            lines.write(json.dumps(row) + "\n")
    return path


def write_tiny_reward_model(folder: Path, steps: int = 60, chat: bool = True, **changes) -> Path:
    """A tiny sequence classifier with one output. With steps, it has learnt to score responses that begin with "yes" higher."""
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    shape = tiny_model().config.to_dict()
    shape = {name: value for name, value in shape.items() if name not in ("id2label", "label2id")}
    config = LlamaConfig(**{**shape, "num_labels": 1, "pad_token_id": tokenizer.pad_token_id, **changes})
    model = LlamaForSequenceClassification(config).float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(steps):
        texts = [
            tokenizer.apply_chat_template(
                [
                    {"role": "user", "content": f"Question {step % 7}?"},
                    {"role": "assistant", "content": f"{word} {step % 5}"},
                ],
                tokenize=False,
            )
            for word in ("yes", "no ")
        ]
        rewards = model(**tokenizer(texts, return_tensors="pt", padding=True)).logits[:, 0]
        (-torch.nn.functional.logsigmoid(rewards[0] - rewards[1])).backward()
        optimizer.step()
        optimizer.zero_grad()
    if not chat:
        tokenizer.chat_template = None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
