"""A GPU whose memory somebody else has taken: what a host on MLX says then, and that it answers afterwards.

    mlx_exhausted.py ATOLL

ATOLL is a binary with MLX. Needs a GPU that nobody else uses, PyTorch to fill it, and curl.
"""

import json
import sys
import time

import torch
from mlx_http import Host

MODEL = "atoll-demo"


def fill(leave):
    """All of the GPU's memory but so many bytes, by plain allocations."""
    held = []
    size = 1 << 30
    while size >= 1 << 24:
        free, _ = torch.cuda.mem_get_info()
        if free - leave < size:
            size //= 2
            continue
        held.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
    return held


def main():
    torch.zeros(1, device="cuda")
    failed = []
    # Too little for the KV memory: the model cannot be loaded. Later too little for a prompt's activations alone.
    for what, kv, leave in (("loading", "1GiB", 700 << 20), ("a prompt", "256MiB", None)):
        host = Host(sys.argv[1], "mlx", "", "--kv-memory", kv)
        if leave is None:
            before = host.ask(MODEL, "Hello", temperature=0)
            leave = 24 << 20
        held = fill(leave)
        refused = host.ask(MODEL, "Tell me a story. " * 200, temperature=0)
        del held
        torch.cuda.empty_cache()
        time.sleep(1)
        after = host.ask(MODEL, "Hello", temperature=0)
        lives = host.process.poll() is None
        alright = lives and "choices" in after and (what == "a prompt" or "error" in refused)
        if what == "a prompt":
            alright = alright and after["choices"][0]["message"] == before["choices"][0]["message"]
        if not alright:
            failed.append(what)
        said = refused.get("error") or {"answered": refused["usage"]}
        log = [line for line in host.log.read_text().splitlines() if "memory" in line][-3:]
        print(json.dumps({"memory is short while": what, "said": said, "lives and answers": alright, "log": log}), flush=True)
        host.stop()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
