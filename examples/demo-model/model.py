"""The network in PyTorch: Qwen3 as in its paper (grouped-query attention with normalised heads, SwiGLU, RMSNorm, tied head).

Names follow the checkpoint's, so `state_dict()` is the checkpoint. Used to train and to evaluate; Atoll has its own.
"""

import torch
import torch.nn.functional as F
from torch import nn


class RMSNorm(nn.Module):
    def __init__(self, n, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n))
        self.eps = eps

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return (y * self.weight.float()).to(x.dtype)


def rotate(x, cos, sin):
    """Rotary embedding, halves convention; `cos`, `sin` broadcast as [B or 1, 1, T, hd/2]."""
    a, b = x.float().chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.kv, self.hd = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        h = c["hidden_size"]
        self.q_proj = nn.Linear(h, self.heads * self.hd, bias=False)
        self.k_proj = nn.Linear(h, self.kv * self.hd, bias=False)
        self.v_proj = nn.Linear(h, self.kv * self.hd, bias=False)
        self.o_proj = nn.Linear(self.heads * self.hd, h, bias=False)
        self.q_norm = RMSNorm(self.hd, c["rms_norm_eps"])
        self.k_norm = RMSNorm(self.hd, c["rms_norm_eps"])

    def forward(self, x, cos, sin, attend, cache=None):
        b, t, _ = x.shape
        q = self.q_norm(self.q_proj(x).view(b, t, self.heads, self.hd)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(b, t, self.kv, self.hd)).transpose(1, 2)
        v = self.v_proj(x).view(b, t, self.kv, self.hd).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is not None:
            k, v = cache(k, v)
        y = attend(q, k, v)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        h, i = c["hidden_size"], c["intermediate_size"]
        self.gate_proj = nn.Linear(h, i, bias=False)
        self.up_proj = nn.Linear(h, i, bias=False)
        self.down_proj = nn.Linear(i, h, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.self_attn = Attention(c)
        self.post_attention_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.mlp = MLP(c)

    def forward(self, x, cos, sin, attend, cache=None):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, attend, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Block(c) for _ in range(c["num_hidden_layers"]))
        self.norm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])


class Qwen3(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.model = Body(c)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                scale = (2 * c["num_hidden_layers"]) ** -0.5 if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
                nn.init.normal_(p, std=0.02 * scale if "embed" in name else scale * p.shape[1] ** -0.5 * 0.5)

    def angles(self, positions):
        """cos, sin for integer positions [B or 1, T]."""
        hd = self.c["head_dim"]
        inv = self.c["rope_theta"] ** (-torch.arange(0, hd, 2, device=positions.device, dtype=torch.float32) / hd)
        a = positions.float()[..., None] * inv
        return a.cos()[:, None], a.sin()[:, None]

    def hidden(self, tokens, positions, attend, caches=None):
        """Last hidden states [B, T, h]; `attend(q, k, v)` brings the mask."""
        x = self.model.embed_tokens(tokens)
        if torch.is_autocast_enabled():
            x = x.to(torch.bfloat16)
        cos, sin = self.angles(positions)
        for i, layer in enumerate(self.model.layers):
            x = layer(x, cos, sin, attend, caches[i] if caches else None)
        return self.model.norm(x)

    def logits(self, hidden):
        return F.linear(hidden, self.model.embed_tokens.weight.to(hidden.dtype))


class Cache:
    """Keys and values of one layer, in a buffer of fixed length."""

    def __init__(self, b, kv, length, hd, device, dtype):
        self.k = torch.zeros(b, kv, length, hd, device=device, dtype=dtype)
        self.v = torch.zeros_like(self.k)
        self.n = 0

    def __call__(self, k, v):
        t = k.shape[2]
        self.k[:, :, self.n : self.n + t] = k
        self.v[:, :, self.n : self.n + t] = v
        self.n += t
        return self.k[:, :, : self.n], self.v[:, :, : self.n]


@torch.no_grad()
def generate(model, prompts, stop, limit=256, pad=0, temperature=0.0, generator=None):
    """Greedy (or sampled) continuations of a batch of token lists, left-padded. Stops each at `stop`.

    Returns (tokens without the stop, whether it stopped) per prompt.
    """
    device = next(model.parameters()).device
    dtype = next(model.parameters()).dtype
    c = model.c
    b, width = len(prompts), max(map(len, prompts))
    tokens = torch.full((b, width), pad, dtype=torch.long)
    valid = torch.zeros(b, width + limit, dtype=torch.bool)
    for i, p in enumerate(prompts):
        tokens[i, width - len(p) :] = torch.tensor(p)
        valid[i, width - len(p) : width] = True
    valid[:, width:] = True
    tokens, valid = tokens.to(device), valid.to(device)
    caches = [Cache(b, c["num_key_value_heads"], width + limit, c["head_dim"], device, dtype) for _ in range(c["num_hidden_layers"])]
    out = [[] for _ in range(b)]
    done = torch.zeros(b, dtype=torch.bool, device=device)
    column, start = tokens, 0
    steps = []
    for step in range(limit):
        t = column.shape[1]
        n = start + t
        mask = valid[:, None, None, :n]
        if t > 1:
            mask = mask & torch.ones(t, n, dtype=torch.bool, device=device).tril(n - t)
            # A padded row sees itself, so that no softmax is empty.
            mask = mask | torch.eye(t, n, dtype=torch.bool, device=device)

        def attend(q, k, v):
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)

        h = model.hidden(column, torch.arange(start, n, device=device)[None], attend, caches)
        logits = model.logits(h[:, -1]).float()
        if temperature > 0:
            column = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)
        else:
            column = logits.argmax(-1, keepdim=True)
        start = n
        steps.append(column)
        done |= column[:, 0] == stop
        if step % 8 == 7 and bool(done.all()):
            break
    grid = torch.cat(steps, 1).tolist()
    for i, row in enumerate(grid):
        ended = stop in row
        out[i] = (row[: row.index(stop)] if ended else row, ended)
    return out
