"""Small tokenizers with the control tokens and chat templates of well-known families, for transformers and llama.cpp."""

from dataclasses import dataclass, field
from pathlib import Path

CHATML = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}"
    "{% endif %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CHATML_TOOLS = "{% if tools %}{{ '<tool_call></tool_call>' }}{% endif %}" + CHATML
LLAMA = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' "
    "+ m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' "
    "+ m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
DEEPSEEK = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}{% endif %}{% endfor %}"
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ '<｜User｜>' + m['content'] }}{% endif %}"
    "{% if m['role'] == 'assistant' %}{{ '<｜Assistant｜>' + m['content'].split('</think>')[-1] + '<｜end▁of▁sentence｜>' }}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %}"
)
WORDS = ("im", "st", "art", "end", "th", "in", "<|", "|>", "</", "<｜", "ink>", "im_")


@dataclass(frozen=True)
class Family:
    """One kind of tokenizer: its control tokens (special or not), added tokens that are words, and its template."""

    name: str
    pre: str
    template: str
    special: tuple[str, ...]
    marks: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    bos: str | None = None
    eos: str = ""
    system: bool = True
    pieces: bool = False
    merged: tuple[tuple[str, str], ...] = field(default=())

    @property
    def control(self):
        return (*self.special, *self.marks)


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "smollm2",
            "smollm",
            CHATML,
            (
                *(
                    "<|endoftext|>",
                    "<|im_start|>",
                    "<|im_end|>",
                    "<repo_name>",
                    "<reponame>",
                    "<file_sep>",
                    "<filename>",
                ),
                *(
                    "<gh_stars>",
                    "<issue_start>",
                    "<issue_comment>",
                    "<issue_closed>",
                    "<jupyter_start>",
                    "<jupyter_text>",
                ),
                *("<jupyter_code>", "<jupyter_output>", "<jupyter_script>", "<empty_output>"),
            ),
            eos="<|im_end|>",
        ),
        Family(
            "qwen2.5",
            "qwen2",
            CHATML_TOOLS,
            ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|box_end|>", "<|image_pad|>"),
            ("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_suffix|>", "<|repo_name|>", "<|file_sep|>"),
            eos="<|im_end|>",
        ),
        Family(
            "llama-3",
            "llama-bpe",
            LLAMA,
            (
                *("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>"),
                *("<|eot_id|>", "<|python_tag|>", "<|reserved_special_token_0|>", "<|finetune_right_pad_id|>"),
            ),
            bos="<|begin_of_text|>",
            eos="<|eot_id|>",
        ),
        Family(
            "gemma",
            "",
            GEMMA,
            ("<pad>", "<eos>", "<bos>", "<mask>", "<start_of_turn>", "<end_of_turn>"),
            words=("\n\n", "<table>", "<h1>"),
            bos="<bos>",
            eos="<eos>",
            system=False,
            pieces=True,
            merged=(("<e", "os>"),),
        ),
        Family(
            "deepseek-r1",
            "deepseek-r1-qwen",
            DEEPSEEK,
            ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"),
            ("<｜User｜>", "<｜Assistant｜>", "<think>", "</think>", "<｜tool▁calls▁begin｜>", "<|EOT|>"),
            bos="<｜begin▁of▁sentence｜>",
            eos="<｜end▁of▁sentence｜>",
        ),
    )
}


def _vocabulary(family: Family):
    """Tokens in their order, and merges: letters or bytes, then words that merges make of them."""
    from tokenizers import pre_tokenizers

    if family.pieces:
        letters = [*map(chr, range(32, 127)), "▁"]
        tokens = ["<unk>", *family.special, *(f"<0x{byte:02X}>" for byte in range(256)), *family.words, *letters]
        words = ["<e", "os", "os>", "</", "ta", "in"]
    else:
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        tokens = [*family.control, *family.words, *letters]
        level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        words = ["".join(piece for piece, _ in level.pre_tokenize_str(word)) for word in WORDS]
    merges: list[tuple[str, str]] = []
    for word in words:
        for end in range(2, len(word) + 1):
            if word[:end] not in tokens:
                tokens.append(word[:end])
                merges.append((word[: end - 1], word[end - 1]))
    return tokens, [*merges, *family.merged]


def hf_tokenizer(family: Family):
    """The tokenizer for transformers."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens, merges = _vocabulary(family)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    if family.pieces:
        tokenizer = Tokenizer(
            models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True)
        )
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    else:
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in family.special])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in (*family.marks, *family.words)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=family.bos,
        eos_token=family.eos,
        unk_token="<unk>" if family.pieces else None,
    )
    fast.chat_template = family.template
    return fast


def gguf_file(family: Family, path: Path) -> Path:
    """A random model of one layer with the tokenizer for llama.cpp."""
    import gguf
    import numpy

    tokens, merges = _vocabulary(family)
    kinds = dict.fromkeys(family.special, 3) | dict.fromkeys((*family.marks, *family.words), 4) | {"<unk>": 2}
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(512)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama" if family.pieces else "gpt2")
    if family.pieces:
        writer.add_token_scores([-float(number) for number in range(len(tokens))])
        writer.add_add_space_prefix(False)
        kinds |= {f"<0x{byte:02X}>": 6 for byte in range(256)}
    else:
        writer.add_tokenizer_pre(family.pre)
        writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_token_list(tokens)
    writer.add_token_types([kinds.get(token, 1) for token in tokens])
    if family.bos:
        writer.add_bos_token_id(tokens.index(family.bos))
    writer.add_eos_token_id(tokens.index(family.eos))
    writer.add_add_bos_token(family.bos is not None)
    writer.add_chat_template(family.template)
    chance = numpy.random.default_rng(0)
    shapes = {"token_embd": (len(tokens), 32), "output_norm": (32,), "blk.0.attn_norm": (32,), "blk.0.ffn_norm": (32,)}
    shapes |= {f"blk.0.{name}": (32, 32) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
    shapes |= {f"blk.0.{name}": (32, 32) for name in ("ffn_gate", "ffn_up", "ffn_down")}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", chance.standard_normal(shape).astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
