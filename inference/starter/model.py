"""The starter's network: a small Llama (RMSNorm, interleaved rope, grouped-query attention, SwiGLU, tied embedding).

Every matrix has a row width that is a multiple of 256, so that K-quantisation applies to all of them.
"""
import dataclasses
import math

import torch
from torch import nn
from torch.nn import functional as F


@dataclasses.dataclass
class Shape:
    vocab: int = 3072
    width: int = 256
    ff: int = 768
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    context: int = 1024
    rope_base: float = 10000.0
    norm_eps: float = 1e-5

    @property
    def head_width(self):
        return self.width // self.heads


class Normalise(torch.autograd.Function):
    """x over its root mean square, in x's own type: few passes over memory, which is what costs time on a processor."""

    @staticmethod
    def forward(ctx, x, eps):
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = torch.rsqrt(norm * norm / x.shape[-1] + eps).to(x.dtype)
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    def backward(ctx, grad):
        y, scale = ctx.saved_tensors
        inner = (grad * y).mean(-1, keepdim=True)
        return (grad - y * inner) * scale, None


class RMSNorm(nn.Module):
    """The weight stays 1: the matrix that follows can learn the same scale."""

    def __init__(self, width, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width), requires_grad=False)
        self.eps = eps

    def forward(self, x):
        return Normalise.apply(x, self.eps)


def rope_tables(shape):
    """cos and sin, each [context, head_width / 2]: one angle per neighbouring pair, as GGUF's `llama` architecture expects."""
    pair = torch.arange(0, shape.head_width, 2).float() / shape.head_width
    angle = torch.outer(torch.arange(shape.context).float(), shape.rope_base ** -pair)
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    """Turns each neighbouring pair of x [batch, time, heads, head_width] by its position's angle."""
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = cos[None, :, None, :], sin[None, :, None, :]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Block(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.shape = s
        kv_width = s.kv_heads * s.head_width
        self.attn_norm = RMSNorm(s.width, s.norm_eps)
        self.attn_q = nn.Linear(s.width, s.width, bias=False)
        self.attn_k = nn.Linear(s.width, kv_width, bias=False)
        self.attn_v = nn.Linear(s.width, kv_width, bias=False)
        self.attn_output = nn.Linear(s.width, s.width, bias=False)
        self.ffn_norm = RMSNorm(s.width, s.norm_eps)
        self.ffn_gate = nn.Linear(s.width, s.ff, bias=False)
        self.ffn_up = nn.Linear(s.width, s.ff, bias=False)
        self.ffn_down = nn.Linear(s.ff, s.width, bias=False)

    def forward(self, x, cos, sin, mask):
        x = x + self.attend(self.attn_norm(x), cos, sin, mask)
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))

    def attend(self, x, cos, sin, mask):
        s, (b, t, _) = self.shape, x.shape
        group = s.heads // s.kv_heads
        q = rotate(self.attn_q(x).view(b, t, s.heads, s.head_width), cos, sin)
        k = rotate(self.attn_k(x).view(b, t, s.kv_heads, s.head_width), cos, sin)
        v = self.attn_v(x).view(b, t, s.kv_heads, s.head_width)
        # Query head i reads key-value head i // group: fold the group into time so that k and v are never copied.
        q = q.view(b, t, s.kv_heads, group, s.head_width).permute(0, 2, 3, 1, 4).reshape(b * s.kv_heads, group * t, -1)
        k = k.transpose(1, 2).reshape(b * s.kv_heads, t, -1)
        v = v.transpose(1, 2).reshape(b * s.kv_heads, t, -1)
        score = torch.bmm(q * (1 / math.sqrt(s.head_width)), k.transpose(1, 2))
        score = (score.view(-1, group, t, t) + mask).softmax(-1, dtype=score.dtype).view(-1, group * t, t)
        out = torch.bmm(score, v).view(b, s.heads, t, s.head_width)
        return self.attn_output(out.transpose(1, 2).reshape(b, t, s.width))


class Llama(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocab, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = RMSNorm(shape.width, shape.norm_eps)
        cos, sin = rope_tables(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                out_of_block = name.endswith(("attn_output.weight", "ffn_down.weight"))
                nn.init.normal_(p, std=0.03 / (math.sqrt(2 * shape.layers) if out_of_block else 1))

    def hidden(self, tokens, offset=0):
        """Normalised last hidden states [batch, time, width]; `offset` is the position of the first token."""
        t = tokens.shape[1]
        dtype = torch.bfloat16 if torch.is_autocast_cpu_enabled() else torch.float32
        x = self.token_embd(tokens).to(dtype)
        mask = torch.full((t, t), -1e4, dtype=dtype).triu(1)
        cos, sin = self.cos[offset:offset + t].to(dtype), self.sin[offset:offset + t].to(dtype)
        for block in self.blk:
            x = block(x, cos, sin, mask)
        return self.output_norm(x)

    def forward(self, tokens, offset=0):
        return F.linear(self.hidden(tokens, offset), self.token_embd.weight)

    def parameter_count(self):
        return sum(p.numel() for p in self.parameters())
