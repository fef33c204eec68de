#!/bin/sh
# One training run on a rented GPU: everything worth keeping goes to $OUT in files under 16 MiB.
#   run_device.sh STEPS TIME_LIMIT CASES [more arguments of train.py]
export PYTHONUNBUFFERED=1
CARRY=$(realpath "${CARRY:-.}")
cd "$(dirname "$0")" || exit 1
steps=$1 limit=$2 cases=$3
shift 3
run=/tmp/run
# The compiler's cache of an earlier run, when there is one.
if [ -f "$CARRY/cache.tgz" ]; then tar xzf "$CARRY/cache.tgz" -C /tmp; fi
{
    python3 train.py --steps "$steps" --time-limit "$limit" --eval 0 --out $run --slowest 1000000 "$@" ||
        python3 train.py --steps "$steps" --time-limit "$limit" --eval 0 --out $run --compile whole "$@"
} >"$OUT/log" 2>&1
tail -n 30 "$OUT/log"
cp $run/report.json $run/final-0.safetensors $run/final-1.safetensors "$OUT"
tar cf "$OUT/model.tar" -C $run/model .
if [ "$cases" -gt 0 ]; then
    python3 evaluate.py --backend torch --model $run/model --cases "$cases" --parallel 512 --failures "$OUT/failures.jsonl"
fi
