"""Accuracy of atoll-demo per skill, on held-out cases.

    python evaluate.py --base-url http://127.0.0.1:8000/v1           # through Atoll, with the openai client
    python evaluate.py --backend mlx   --model ../../models/atoll-demo
    python evaluate.py --backend torch --model ../../models/atoll-demo

Greedy decoding. Prints a table; `--card FILE ...` also writes it between the `accuracy` marks of these model cards. `--least 0.9`
makes the exit status say whether every skill reaches that accuracy. `newcomer.jsonl` holds messages written by hand, of which
none is in the corpus.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import sys
import time

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from corpus import mixture, render, scoring

LIMIT = 400
#: Between these two the card holds the table.
BEGIN, END = "<!-- accuracy -->", "<!-- end of accuracy -->"


def newcomer():
    """The hand-written cases."""
    out = []
    for line in (HERE / "newcomer.jsonl").read_text(encoding="utf-8").splitlines():
        if line.strip():
            c = json.loads(line)
            messages = [{"role": "system", "content": c["system"]}] if "system" in c else []
            for i, turn in enumerate(c["turns"] if "turns" in c else [c["user"]]):
                messages.append({"role": "assistant" if i % 2 else "user", "content": turn})
            check = {"kind": "calls", "calls": c["calls"]} if "calls" in c else {"kind": "any_of", "any": c.get("any", []), "all": c.get("all", [])}
            case = {"skill": c["skill"], "name": "newcomer", "messages": messages, "check": check, "answer": ""}
            if "tools" in c:
                case["tools"] = [TOOLS[t] for t in c["tools"]]
            out.append(case)
    return out


def tool(name, about, **props):
    return {
        "type": "function",
        "function": {"name": name, "description": about, "parameters": {"type": "object", "properties": {k: {"type": v} for k, v in props.items()}, "required": list(props)}},
    }


#: Tools of the hand-written cases.
TOOLS = {
    t["function"]["name"]: t
    for t in (
        tool("get_weather", "Get the current weather in a given location", location="string"),
        tool("get_stock_price", "Look up the price of a share", symbol="string"),
        tool("create_reminder", "Create a reminder", text="string", time="string"),
        tool("lookup_patient", "Find a patient by number", patient_number="string"),
        tool("multiply", "Multiply two numbers", a="number", b="number"),
        tool("send_invoice", "Send an invoice by e-mail", email="string", invoice_number="string", amount="number"),
    )
}


def prompt_of(case, thinking=False):
    """The raw prompt, as the template renders it."""
    text = render.text({"messages": case["messages"], "tools": case.get("tools")}) + "<|im_start|>assistant\n"
    return text if thinking else text + render.EMPTY_THINK


def wire_messages(case):
    """The case's messages as the API takes them: calls with ids and with arguments as text."""
    messages, waiting, number = [], [], 0
    for m in case["messages"]:
        m = {k: v for k, v in m.items() if k != "reasoning_content"}
        if m.get("tool_calls"):
            m["content"] = m.get("content") or None
            calls = []
            for c in m["tool_calls"]:
                arguments = json.dumps(c["function"]["arguments"], ensure_ascii=False)
                calls.append({"id": f"call_{number}", "type": "function", "function": {"name": c["function"]["name"], "arguments": arguments}})
                number += 1
            m["tool_calls"] = calls
            waiting = [c["id"] for c in calls]
        if m["role"] == "tool":
            m["tool_call_id"] = waiting.pop(0)
        messages.append(m)
    return messages


def over_http(cases, args):
    """Through a server. Yields (text, calls or None, whether it stopped by itself)."""
    import openai

    client = openai.OpenAI(base_url=args.base_url, api_key=args.api_key, timeout=600)

    def complete(case):
        r = client.completions.create(model=args.name, prompt=prompt_of(case), temperature=0, max_tokens=LIMIT)
        return r.choices[0].text, None, r.choices[0].finish_reason == "stop"

    def ask(case):
        more = {"tools": case["tools"]} if case.get("tools") else {}
        r = client.chat.completions.create(model=args.name, messages=wire_messages(case), temperature=0, max_tokens=LIMIT, **more)
        choice = r.choices[0]
        calls = []
        for c in choice.message.tool_calls or []:
            try:
                calls.append([c.function.name, json.loads(c.function.arguments)])
            except ValueError:
                calls.append([c.function.name, None])
        return choice.message.content or "", calls, choice.finish_reason in ("stop", "tool_calls")

    with concurrent.futures.ThreadPoolExecutor(args.parallel) as pool:
        yield from pool.map(complete if args.raw else ask, cases)


def with_torch(cases, args):
    import numpy as np
    import torch
    from tokenizers import Tokenizer

    import export
    from model import Qwen3, generate

    folder = pathlib.Path(args.model)
    config = json.loads((folder / "config.json").read_text())
    stored = export.read_safetensors(folder / "model.safetensors")
    state = {}
    for name in export.shapes(config):
        stem = name.removesuffix(".weight")
        w = stored[name]
        if stem + ".scales" in stored:
            w = export.dequantize(w, export.to_bf16(stored[stem + ".scales"]), export.to_bf16(stored[stem + ".biases"]))
        state[name] = torch.from_numpy(np.array(w))
    net = Qwen3(config)
    net.load_state_dict(state)
    net.eval()
    if torch.cuda.is_available():
        net.cuda()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    stop, pad = tokenizer.token_to_id("<|im_end|>"), tokenizer.token_to_id("<|endoftext|>")
    ids = [tokenizer.encode(prompt_of(c, args.thinking), add_special_tokens=False).ids for c in cases]
    order = sorted(range(len(cases)), key=lambda i: len(ids[i]))
    out = [None] * len(cases)
    for k in range(0, len(order), args.parallel):
        part = order[k : k + args.parallel]
        for i, (tokens, ended) in zip(part, generate(net, [ids[i] for i in part], stop, LIMIT, pad)):
            text = tokenizer.decode(tokens, skip_special_tokens=False)
            if args.thinking:
                text = text.rpartition("</think>")[2]
            out[i] = (text, None, ended)
    yield from out


def with_mlx(cases, args):
    from mlx_lm import load, stream_generate

    net, tokenizer = load(args.model)
    for case in cases:
        text, reason = "", None
        for piece in stream_generate(net, tokenizer, tokenizer.encode(prompt_of(case, args.thinking), add_special_tokens=False), max_tokens=LIMIT):
            text += piece.text
            reason = piece.finish_reason or reason
        if args.thinking:
            text = text.rpartition("</think>")[2]
        yield text, None, reason == "stop"


def in_card(card, table):
    """The card with its table of accuracies replaced."""
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"the card has no {BEGIN} ... {END}")
    return f"{before}{begin}\n{table}\n{end}{after}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", help="an OpenAI-compatible server, for example http://127.0.0.1:8000/v1")
    parser.add_argument("--api-key", default=os.environ.get("OPENAI_API_KEY", "none"))
    parser.add_argument("--name", default="atoll-demo", help="the model's name on the server")
    parser.add_argument("--backend", choices=("mlx", "torch"), default="torch")
    parser.add_argument("--model", default=str(HERE.parent.parent / "models" / "atoll-demo"))
    parser.add_argument("--cases", type=int, default=100, help="cases per skill")
    parser.add_argument("--seed", type=int, default=4242)
    parser.add_argument("--skills", nargs="*", help="only skills whose name contains one of these")
    parser.add_argument("--raw", action="store_true", help="through the server as raw prompts: the template and the parsing of calls are Python's")
    parser.add_argument("--parallel", type=int, default=16)
    parser.add_argument("--thinking", action="store_true", help="with reasoning on (torch and mlx)")
    parser.add_argument("--card", nargs="*", default=[], help="model cards whose table is replaced")
    parser.add_argument("--failures", help="write the failures to this JSON Lines file")
    parser.add_argument("--least", type=float, default=0.0, help="fail when a skill is below this accuracy")
    args = parser.parse_args()

    cases = mixture.cases(args.seed, args.cases, args.skills)
    cases += [c for c in newcomer() if not args.skills or any(s in c["skill"] for s in args.skills)]
    run = over_http if args.base_url else with_mlx if args.backend == "mlx" else with_torch
    started = time.time()
    right, total, stopped, failures = {}, {}, 0, []
    for case, (text, calls, ended) in zip(cases, run(cases, args)):
        ok = bool(ended and scoring.score(case, text, calls))
        total[case["skill"]] = total.get(case["skill"], 0) + 1
        right[case["skill"]] = right.get(case["skill"], 0) + ok
        stopped += ended
        if not ok:
            failures.append({"skill": case["skill"], "name": case["name"], "messages": case["messages"], "want": case["answer"] or case["check"], "got": text, "calls": calls, "stopped": ended})
    rows = [(s, right[s], total[s]) for s in total] + [("stops by itself", stopped, len(cases))]
    lines = ["| skill | right | cases | accuracy |", "| --- | ---: | ---: | ---: |"] + [f"| {s} | {r} | {t} | {r / t:.1%} |" for s, r, t in rows]
    print("\n".join(lines))
    print(f"\n{len(cases)} cases in {time.time() - started:.0f} s", file=sys.stderr)
    for path in map(pathlib.Path, args.card):
        path.write_text(in_card(path.read_text(encoding="utf-8"), "\n".join(lines)), encoding="utf-8")
    if args.failures:
        with open(args.failures, "w", encoding="utf-8") as f:
            for x in failures:
                f.write(json.dumps(x, ensure_ascii=False) + "\n")
    low = [s for s, r, t in rows if r / t < args.least]
    if low:
        sys.exit("below --least: " + ", ".join(low))


if __name__ == "__main__":
    main()
