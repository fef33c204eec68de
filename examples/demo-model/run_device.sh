#!/bin/sh
# One training run on a rented GPU: everything worth keeping goes to $OUT in files under 16 MiB.
#   run_device.sh STEPS TIME_LIMIT EVAL [more arguments of train.py]
export PYTHONUNBUFFERED=1
cd "$(dirname "$0")" || exit 1
steps=$1 limit=$2 cases=$3
shift 3
run=/tmp/run
if [ -f ../../.carry/cache.tgz ]; then tar xzf ../../.carry/cache.tgz -C /tmp; fi
{
    python3 train.py --steps "$steps" --time-limit "$limit" --eval "$cases" --out $run --slowest 1000000 "$@" ||
        python3 train.py --steps "$steps" --time-limit "$limit" --eval "$cases" --out $run --compile whole "$@"
} >"$OUT/log" 2>&1
tail -n 45 "$OUT/log"
cp $run/report.json $run/stable-0.safetensors $run/stable-1.safetensors "$OUT"
tar cf "$OUT/model.tar" -C $run/model .
tar czf "$OUT/cache.tgz" -C /tmp torchinductor_root
ls -la "$OUT"
