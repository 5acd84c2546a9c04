#!/bin/sh
# The whole run, unattended: ours and some peers side by side, one JSON line a figure.
#
#     benchmarks/run.sh RESULTS.jsonl          about 45 minutes on two quiet cores
#
#   BENCH                the peers' bench (default: ../shared/bench beside this repository)
#   BENCH_LAB            its lab, with the peers' virtual environments built
#   BENCH_PYTHON         the Python of ours (3.12)
#   PEERS                which peers run beside us; empty: none
#   RATE_MARIADB_URL     an empty database for plan_rate.py on MariaDB; not set: left out
set -eu

here=$(cd "$(dirname "$0")" && pwd)
main=$(dirname "$here")
out=$(realpath -m "${1:?which file to write}")
bench=${BENCH:-$(dirname "$main")/shared/bench}
: "${BENCH_LAB:?where the lab is}" "${BENCH_PYTHON:?which Python}"
peers=${PEERS-redbeat,apscheduler-3-pg,apscheduler-4a6-pg,sqlalchemy-celery-beat-pg}
us=jobsched-pg,jobsched-sqlite
all=$us${peers:+,$peers}
export BENCH_LAB BENCH_PYTHON BENCH_ADAPTERS="$here/adapters"

# Installed, not editable: compiled as users have it, and safe from edits during the run.
ours=$BENCH_LAB/venv-jobsched
[ -d "$ours" ] || "$BENCH_PYTHON" -m venv "$ours"
source=$(mktemp -d)
cp -r "$main/celery_jobsched" "$main/setup.cfg" "$main/pyproject.toml" "$main/README.md" \
    "$main/LICENSE" "$source"
"$ours/bin/pip" install -q "$source[redis,postgresql,mysql]"
"$ours/bin/pip" install -q --no-deps --force-reinstall "$source"
rm -r "$source"

runner=$BENCH_LAB/venv-runner/bin/python
"$runner" "$bench/lab.py" up
run() { "$runner" "$bench/run.py" --out "$out" "$@"; }
rate() { (cd "$BENCH_LAB" && "$ours/bin/python" "$here/plan_rate.py" "$@" | tee -a "$out"); }

run --peers "$all" --scenarios A --sizes 1000 --runs 3 --idle-s 0
run --peers "$all" --scenarios A --sizes 10000 --idle-s 20 --cut-start 60
run --peers $us --scenarios A --sizes 100000 --idle-s 20
run --peers "$all" --scenarios C --bursts 2000 --cut-burst 25
run --peers $us --scenarios C --bursts 10000,10000,10000
run --peers "$all" --scenarios D
run --peers "$all" --scenarios Dcron
run --peers $us --scenarios D,Dcron
run --peers $us --scenarios E --cut-pickup 20
run --peers $us --scenarios F,Fcrash,F,Fcrash --cut-failover 60
run --peers $us --scenarios Flong --cut-burst 110
run --peers $us --scenarios A --sizes 1000000 --idle-s 20

psql="psql -q -h 127.0.0.1 -p ${BENCH_PG_PORT:-25417} -U postgres"
$psql -c 'DROP DATABASE IF EXISTS rate' -c 'CREATE DATABASE rate' postgres
rate "postgresql+psycopg://postgres@127.0.0.1:${BENCH_PG_PORT:-25417}/rate"
[ -z "${RATE_MARIADB_URL:-}" ] || rate RATE_MARIADB_URL
rm -f "$BENCH_LAB"/rate.db*
rate "sqlite:///$BENCH_LAB/rate.db"

"$ours/bin/pip" install -q croniter cronsim 'APScheduler<4'
"$ours/bin/python" "$here/next_fire.py" --out "$out"

"$ours/bin/python" "$bench/summary.py" "$out"
