"""How fast mlx_lm runs a model folder: the same prompts and numbers as the example `mlx_speed` of host/executor-mlx.

    mlx_lm_speed.py FOLDER --prompt 128 --generate 128 --batch 8 --rounds 3 --shortest 32 --temperature 0.8 --top-p 0.9 --repetition-penalty 1.1
"""

import argparse
import json
import pathlib
import time

from mlx_lm.generate import BatchGenerator, generate_step
from mlx_lm.sample_utils import make_logits_processors, make_sampler
from mlx_lm.utils import load_model

import mlx.core as mx


def one(model, prompt, generate, sampler, processors):
    began = time.perf_counter()
    times = []
    for _ in generate_step(mx.array(prompt), model, max_tokens=generate, sampler=sampler, logits_processors=processors):
        times.append(time.perf_counter())
    return times[0] - began, times[-1] - times[0]


def several(model, prompts, generate, sampler, processors):
    generator = BatchGenerator(model, max_tokens=generate, prefill_batch_size=len(prompts), sampler=sampler)
    generator.insert(prompts, [generate] * len(prompts), logits_processors=[processors] * len(prompts))
    began, first, drawn = time.perf_counter(), None, 0
    while drawn < generate * len(prompts):
        drawn += len(generator.next_generated())
        first = first or time.perf_counter()
    last = time.perf_counter()
    generator.close()
    return first - began, last - first


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    for name, default in (("prompt", 128), ("generate", 64), ("batch", 1), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--shortest", type=int)
    parser.add_argument("--temperature", type=float, default=0)
    parser.add_argument("--top-p", type=float, default=1)
    parser.add_argument("--repetition-penalty", type=float, default=1)
    arguments = parser.parse_args()
    model, config = load_model(arguments.folder)
    vocab = config["vocab_size"]
    more = max(0, arguments.prompt - (arguments.shortest or arguments.prompt))
    lengths = [arguments.prompt - more + more * row // max(1, arguments.batch - 1) for row in range(arguments.batch)]
    prompts = [[(i * i * 31 + row * 101) % vocab for i in range(length)] for row, length in enumerate(lengths)]
    sampler = make_sampler(temp=arguments.temperature, top_p=arguments.top_p)
    penalty = arguments.repetition_penalty if arguments.repetition_penalty != 1 else None
    processors = make_logits_processors(repetition_penalty=penalty, repetition_context_size=64)
    for _ in range(arguments.rounds):
        if arguments.batch == 1:
            prefill, decode = one(model, prompts[0], arguments.generate, sampler, processors)
        else:
            prefill, decode = several(model, prompts, arguments.generate, sampler, processors)
        decoded = arguments.generate - 1
        print(json.dumps({
            "executor": "mlx_lm", "batch": arguments.batch,
            "prefill_tokens_per_s": round(sum(lengths) / prefill, 1),
            "decode_tokens_per_s": round(decoded * arguments.batch / decode, 1),
            "step_ms": round(decode / decoded * 1e3, 3),
        }))


if __name__ == "__main__":
    main()
