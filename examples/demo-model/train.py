"""Train atoll-demo.

    python train.py --out run            # the recipe that fits: a GPU where torch finds one, else two CPU cores

The corpus is made while training, by worker processes, and no conversation is seen twice. Deterministic in its data from
`--seed` (the number of workers is part of the recipe, not of the machine); GPU kernels may still differ in the last bit.

Recipe: Muon (Keller Jordan 2024, with the update scale of Liu et al. 2025) for the matrices, AdamW for embeddings and gains; warm-up, constant rate,
linear decay to zero over the last third; bf16 autocast; documents packed into rows and attention kept inside each document; loss on
the assistant's tokens only.
"""

import argparse
import json
import math
import multiprocessing as mp
import os
import pathlib
import shutil
import sys
import time

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import export
from corpus import mixture, render

WORKERS = 12

#: Steps, rows in a batch, tokens in a row, seconds until the rate must begin to fall, cases per skill at the end.
#: On CPU cores training ends in under two hours whatever their speed: the fall is 35 % of all steps.
RECIPES = {
    "gpu": {"steps": 9000, "batch": 32, "length": 4096, "time_limit": 0.0, "eval": 64},
    "cpu": {"steps": 1200, "batch": 4, "length": 1024, "time_limit": 4200.0, "eval": 8},
}


def documents(seed, worker, tokenizer, length):
    """(tokens, learnt flags) of this worker's conversations; those that do not fit are left out."""
    for conv in mixture.stream(seed, start=worker, step=WORKERS):
        parts = render.segments(conv, mixture.compact if conv.get("compact") else render.dumps)
        ids, learnt = [], []
        for text, flag in parts:
            t = tokenizer.encode(text, add_special_tokens=False).ids
            ids += t
            learnt += [flag] * len(t)
        if len(ids) <= length:
            yield ids, learnt


def rows(source, length, shelf=64):
    """Packs documents into rows of `length`, best fit from a shelf. Yields (tokens, target flags, document numbers)."""
    waiting = []
    while True:
        tokens = np.zeros(length, np.uint16)
        flags = np.zeros(length, bool)
        doc = np.zeros(length, np.int16)
        used, number = 0, 0
        while True:
            while len(waiting) < shelf:
                waiting.append(next(source))
            room = length - used
            fit = [i for i, w in enumerate(waiting) if len(w[0]) <= room]
            if not fit:
                break
            # The oldest when there is room, else the longest that fits.
            i = fit[0] if room > length // 4 else max(fit, key=lambda j: len(waiting[j][0]))
            ids, learnt = waiting.pop(i)
            n = len(ids)
            number += 1
            tokens[used : used + n] = ids
            doc[used : used + n] = number
            # Position p predicts p + 1.
            flags[used : used + n - 1] = learnt[1:]
            used += n
        yield tokens, flags, doc


def worker_main(worker, seed, length, batch, path, queue):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    source = rows(documents(seed, worker, tokenizer, length), length)
    while True:
        tokens, flags, doc = (np.stack(x) for x in zip(*(next(source) for _ in range(batch))))
        queue.put((tokens, np.flatnonzero(flags).astype(np.int32), doc))


def batches(seed, length, batch, path):
    """Endless batches, in an order that depends on the seed alone."""
    ctx = mp.get_context("fork")
    queues, processes = [], []
    for w in range(WORKERS):
        q = ctx.Queue(4)
        p = ctx.Process(target=worker_main, args=(w, seed, length, batch, path, q), daemon=True)
        p.start()
        queues.append(q)
        processes.append(p)

    def stop():
        for p in processes:
            p.terminate()

    def read():
        i = 0
        while True:
            yield queues[i % WORKERS].get()
            i += 1

    return read(), stop


def make_muon(torch):
    """Momentum, orthogonalised by five Newton-Schulz steps, for stacks of equal matrices."""

    @torch.compile(dynamic=False, disable=not torch.cuda.is_available())
    def orthogonal(g):
        x = g.bfloat16()
        tall = x.shape[-2] > x.shape[-1]
        if tall:
            x = x.mT
        x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
        for _ in range(5):
            a = x @ x.mT
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        return (x.mT if tall else x).float()

    class Muon:
        def __init__(self, params, momentum=0.95, decay=0.05):
            groups = {}
            for p in params:
                groups.setdefault(tuple(p.shape), []).append(p)
            self.groups = list(groups.values())
            self.state = [torch.zeros(len(g), *g[0].shape, device=g[0].device) for g in self.groups]
            self.momentum, self.decay = momentum, decay

        @torch.no_grad()
        def step(self, lr):
            for params, m in zip(self.groups, self.state):
                g = torch.stack([p.grad.float() for p in params])
                m.lerp_(g, 1 - self.momentum)
                update = orthogonal(g.lerp(m, self.momentum))
                update *= 0.2 * math.sqrt(max(m.shape[-2:]))
                torch._foreach_mul_(params, 1 - lr * self.decay)
                torch._foreach_add_(params, list(update.unbind(0)), alpha=-lr)

    return Muon


def evaluate(model, tokenizer, seed, n, skills=None, limit=320, batch=256):
    """{skill: accuracy}, list of failures. Greedy."""
    import torch
    from corpus import scoring
    from model import generate

    stop = tokenizer.token_to_id("<|im_end|>")
    items = mixture.cases(seed, n, skills)
    for item in items:
        text = render.text({"messages": item["messages"], "tools": item.get("tools")}) + "<|im_start|>assistant\n" + render.EMPTY_THINK
        item["ids"] = tokenizer.encode(text, add_special_tokens=False).ids
    items.sort(key=lambda i: len(i["ids"]))
    right, total, stopped, failures = {}, {}, 0, []
    for k in range(0, len(items), batch):
        part = items[k : k + batch]
        for item, (ids, ended) in zip(part, generate(model, [i["ids"] for i in part], stop, limit, tokenizer.token_to_id("<|endoftext|>"))):
            answer = tokenizer.decode(ids, skip_special_tokens=False)
            ok = ended and scoring.score(item, answer)
            total[item["skill"]] = total.get(item["skill"], 0) + 1
            right[item["skill"]] = right.get(item["skill"], 0) + ok
            stopped += ended
            if not ok:
                failures.append({"skill": item["skill"], "name": item["name"], "messages": item["messages"][-3:], "want": item["answer"] or item["check"].get("calls"), "got": answer, "stopped": ended})
    order = [s for s in mixture.EVALUATION if s in total]
    return {s: right[s] / total[s] for s in order} | {"stops by itself": stopped / len(items)}, failures


def save(model, folder, name):
    """bf16 checkpoint in two files, each small enough to carry."""
    state = {k: ("BF16", export.to_bf16(v.detach().float().cpu().numpy())) for k, v in model.state_dict().items()}
    names = sorted(state)
    half = len(names) // 2
    for i, part in enumerate((names[:half], names[half:])):
        export.write_safetensors(folder / f"{name}-{i}.safetensors", {k: state[k] for k in part})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("gpu", "cpu"), help="whose recipe gives what is left out below; found out when left out")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int, help="rows")
    parser.add_argument("--length", type=int, help="tokens in a row")
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--warmup", type=int, default=200)
    parser.add_argument("--decay", type=float, default=0.35, help="share of the steps in which the rate falls to zero")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--tokenizer", default=str(HERE / "tokenizer"))
    parser.add_argument("--init", nargs="*", help="start from this checkpoint")
    parser.add_argument("--out", default="run")
    parser.add_argument("--attention", choices=("flex", "dense"), default=None, help="flex on a GPU, dense masks otherwise")
    parser.add_argument("--compile", choices=("whole", "layer"), default="layer", help="what torch.compile sees at once")
    parser.add_argument("--slowest", type=float, default=0, help="give up when fewer tokens/s are reached after 100 steps")
    parser.add_argument("--eval", type=int, help="cases per skill at the end")
    parser.add_argument("--eval-every", type=int, default=0)
    parser.add_argument("--time-limit", type=float, help="seconds after which the decay starts at once; 0 is never")
    args = parser.parse_args()
    # Asked before torch is loaded: the workers are forked first, and a fork of a process that uses a GPU is broken.
    args.device = args.device or ("gpu" if shutil.which("nvidia-smi") else "cpu")
    for name, value in RECIPES[args.device].items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    started = time.time()
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    stream, stop_workers = batches(args.seed, args.length, args.batch, str(pathlib.Path(args.tokenizer) / "tokenizer.json"))

    import torch
    import torch.nn.functional as F
    from model import Qwen3
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(pathlib.Path(args.tokenizer) / "tokenizer.json"))
    gpu = args.device == "gpu"
    if gpu and not torch.cuda.is_available():
        stop_workers()
        raise SystemExit("this torch sees no GPU; train with --device cpu")
    device = "cuda" if gpu else "cpu"
    print(f"imports {time.time() - started:.0f} s", flush=True)
    attention = args.attention or ("flex" if gpu else "dense")
    torch.manual_seed(args.seed)
    torch.set_float32_matmul_precision("high")
    config = dict(export.CONFIG, vocab_size=tokenizer.get_vocab_size())
    model = Qwen3(config)
    if args.init:
        state = {k: torch.tensor(v) for f in args.init for k, v in export.read_safetensors(f).items()}
        model.load_state_dict(state)
    model = model.to(device)
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    muon = make_muon(torch)(matrices)
    adam = torch.optim.AdamW(others, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0, fused=gpu)
    slots = int(args.batch * args.length * 0.42)
    positions = torch.arange(args.length, device=device)[None]

    if attention == "flex":
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        make_mask = torch.compile(create_block_mask)

    def head_loss(h, index, weight, targets):
        h = h.reshape(-1, h.shape[-1])[index]
        loss = F.cross_entropy(model.logits(h).float(), targets, reduction="none")
        return (loss * weight).sum() / weight.sum()

    def loss_of(tokens, index, weight, targets, mask):
        if attention == "flex":
            attend = lambda q, k, v: flex_attention(q, k, v, block_mask=mask, enable_gqa=True)
        else:
            attend = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
        with torch.autocast(device, torch.bfloat16, enabled=gpu):
            h = model.hidden(tokens, positions, attend)
            return head_loss(h, index, weight, targets)

    step_loss = loss_of
    if gpu and args.compile == "whole":
        step_loss = torch.compile(loss_of, dynamic=False)
    elif gpu and args.compile == "layer":
        # One compilation serves all layers.
        for layer in model.model.layers:
            layer.compile(dynamic=False)
        head_loss = torch.compile(head_loss, dynamic=False)

    def mask_of(doc):
        if attention == "flex":

            def same(b, h, q, k):
                return (q >= k) & (doc[b, q] == doc[b, k])

            return make_mask(same, doc.shape[0], None, args.length, args.length, device=device)
        causal = torch.ones(args.length, args.length, dtype=torch.bool, device=device).tril()
        return ((doc[:, :, None] == doc[:, None, :]) & causal)[:, None]

    def rate(step):
        if step < args.warmup:
            return (step + 1) / args.warmup
        decay_from = args.steps * (1 - args.decay)
        return min(1.0, max(0.0, (args.steps - step) / (args.steps - decay_from)))

    seen = learnt = 0
    recent, log = [], []
    clock = time.time()
    saved_stable = False
    step = -1
    while (step := step + 1) < args.steps:
        if step == 3:
            first = time.time()
        if not saved_stable and step >= args.steps * (1 - args.decay):
            save(model, out, "stable")
            saved_stable = True
        if args.time_limit and time.time() - started > args.time_limit and step < args.steps * (1 - args.decay):
            left = int(step * args.decay / (1 - args.decay))
            print(f"time limit: decay starts at step {step}, {left} steps left", flush=True)
            args.steps = step + left
        tokens, flat, doc = next(stream)
        flat = flat[:slots]
        index = np.zeros(slots, np.int64)
        index[: len(flat)] = flat
        weight = np.zeros(slots, np.float32)
        weight[: len(flat)] = 1
        tokens = torch.from_numpy(tokens.astype(np.int64)).to(device, non_blocking=True)
        index = torch.from_numpy(index).to(device, non_blocking=True)
        weight = torch.from_numpy(weight).to(device, non_blocking=True)
        doc = torch.from_numpy(doc.astype(np.int32)).to(device, non_blocking=True)
        targets = tokens.reshape(-1)[(index + 1).clamp_max(tokens.numel() - 1)]
        loss = step_loss(tokens, index, weight, targets, mask_of(doc))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        lr = args.lr * rate(step)
        muon.step(lr)
        for group in adam.param_groups:
            group["lr"] = lr
        adam.step()
        for p in model.parameters():
            p.grad = None
        seen += tokens.numel()
        learnt += len(flat)
        recent.append(loss.detach())
        if step % 100 == 99 or step + 1 == args.steps or step < 3:
            now = time.time()
            value = torch.stack(recent).mean().item()
            log.append({"step": step + 1, "loss": value, "seconds": now - started})
            print(f"step {step + 1} loss {value:.4f} lr {lr:.5f} {len(recent) * args.batch * args.length / (now - clock):,.0f} tok/s, {learnt / seen:.2f} learnt, {now - started:.0f} s", flush=True)
            if step == 99 and seen / (now - first) < args.slowest:
                stop_workers()
                raise SystemExit("too slow")
            recent, clock = [], now
        if args.eval_every and (step + 1) % args.eval_every == 0:
            with torch.autocast(device, torch.bfloat16, enabled=False):
                copy = Qwen3(config).to(device, torch.bfloat16 if gpu else torch.float32)
                copy.load_state_dict(model.state_dict())
                marks, _ = evaluate(copy, tokenizer, 1, 24)
            print(json.dumps({k: round(v, 3) for k, v in marks.items()}), flush=True)
            clock = time.time()
    stop_workers()
    trained = time.time() - started
    save(model, out, "final")
    weights = {k: v.detach().float().cpu().numpy() for k, v in model.state_dict().items()}
    export.export(weights, args.tokenizer, out / "model")
    # Judge what ships: the quantised weights.
    shipped = {k: torch.from_numpy(export.dequantize(*export.quantize(v)[:3])) if v.ndim == 2 else torch.from_numpy(export.from_bf16(export.to_bf16(v))) for k, v in weights.items()}
    copy = Qwen3(config)
    copy.load_state_dict(shipped)
    copy = copy.to(device, torch.float32)
    marks, failures = evaluate(copy, tokenizer, 99, args.eval) if args.eval else ({}, [])
    for skill, mark in marks.items():
        print(f"{mark:7.1%}  {skill}")
    report = {
        "args": vars(args), "tokens": seen, "learnt_tokens": learnt, "seconds": trained, "device": torch.cuda.get_device_name() if gpu else "cpu", "torch": torch.__version__,
        "log": log, "marks": marks, "failures": failures,
    }
    (out / "report.json").write_text(json.dumps(report, ensure_ascii=False, indent=1))
    print(f"{seen:,} tokens, {learnt:,} learnt, {trained:.0f} s, total {time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
