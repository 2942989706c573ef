"""Writes the model as GGUF version 3: matrices F16, norms F32, the tokeniser and the chat template inside."""
import struct

import numpy as np
import torch

from corpus import CHAT_TEMPLATE, END

ALIGNMENT = 32
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
TENSOR_F32, TENSOR_F16 = 0, 1
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
PACK = {U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}


def text(value):
    raw = value.encode("utf-8")
    return struct.pack("<Q", len(raw)) + raw


def value_bytes(kind, value):
    return text(value) if kind == STRING else struct.pack(PACK[kind], value)


def entry(key, kind, value):
    if isinstance(value, list):
        return text(key) + struct.pack("<IIQ", ARRAY, kind, len(value)) + b"".join(value_bytes(kind, v) for v in value)
    return text(key) + struct.pack("<I", kind) + value_bytes(kind, value)


def piece_kind(pieces, i):
    if pieces.is_unknown(i):
        return UNKNOWN
    if pieces.is_control(i):
        return CONTROL
    return BYTE if pieces.is_byte(i) else NORMAL


def metadata(shape, tokenizer):
    pieces = tokenizer.pieces
    ids = range(tokenizer.size)
    return [
        ("general.architecture", STRING, "llama"),
        ("general.name", STRING, "Allod Starter KE 4M"),
        ("general.description", STRING, "A demonstration model for a public-service desk in Kenya, English and Swahili. Not official advice."),
        ("general.license", STRING, "apache-2.0"),
        ("general.languages", STRING, ["en", "sw"]),
        ("general.file_type", U32, 1),
        ("general.quantization_version", U32, 2),
        ("llama.vocab_size", U32, shape.vocab),
        ("llama.context_length", U32, shape.context),
        ("llama.embedding_length", U32, shape.width),
        ("llama.block_count", U32, shape.layers),
        ("llama.feed_forward_length", U32, shape.ff),
        ("llama.rope.dimension_count", U32, shape.head_width),
        ("llama.rope.freq_base", F32, shape.rope_base),
        ("llama.attention.head_count", U32, shape.heads),
        ("llama.attention.head_count_kv", U32, shape.kv_heads),
        ("llama.attention.layer_norm_rms_epsilon", F32, shape.norm_eps),
        ("tokenizer.ggml.model", STRING, "llama"),
        ("tokenizer.ggml.pre", STRING, "default"),
        ("tokenizer.ggml.tokens", STRING, [pieces.id_to_piece(i) for i in ids]),
        ("tokenizer.ggml.scores", F32, [pieces.get_score(i) for i in ids]),
        ("tokenizer.ggml.token_type", I32, [piece_kind(pieces, i) for i in ids]),
        ("tokenizer.ggml.bos_token_id", U32, tokenizer.bos),
        ("tokenizer.ggml.eos_token_id", U32, tokenizer.special[END]),
        ("tokenizer.ggml.eot_token_id", U32, tokenizer.special[END]),
        ("tokenizer.ggml.unknown_token_id", U32, pieces.unk_id()),
        ("tokenizer.ggml.add_bos_token", BOOL, True),
        ("tokenizer.ggml.add_eos_token", BOOL, False),
        ("tokenizer.ggml.add_space_prefix", BOOL, False),
        ("tokenizer.chat_template", STRING, CHAT_TEMPLATE),
    ]


def tensors(model):
    for name, p in model.named_parameters():
        kind = TENSOR_F16 if p.dim() == 2 else TENSOR_F32
        yield name, kind, p.detach().numpy().astype(np.float16 if kind == TENSOR_F16 else np.float32)


def pad(size):
    return -size % ALIGNMENT


def export(model, tokenizer, path):
    entries, arrays = metadata(model.shape, tokenizer), list(tensors(model))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(arrays), len(entries)) + b"".join(entry(*e) for e in entries)
    offset = 0
    for name, kind, array in arrays:
        head += text(name) + struct.pack("<I", array.ndim) + struct.pack(f"<{array.ndim}Q", *reversed(array.shape))
        head += struct.pack("<IQ", kind, offset)
        offset += array.nbytes + pad(array.nbytes)
    part = path.with_suffix(".part")
    with open(part, "wb") as out:
        out.write(head + bytes(pad(len(head))))
        for _, _, array in arrays:
            out.write(array.tobytes() + bytes(pad(array.nbytes)))
    part.replace(path)
