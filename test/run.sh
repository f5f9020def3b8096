#!/usr/bin/env bash
# Every test there is, on a real Docker engine, a real nginx and real Git servers; also what
# continuous integration runs. Needs root on Debian or Ubuntu, and Node.js 20.19 or later; installs
# the rest. Ends with a line `N passed, N failed` and status 0 when nothing failed.
set -euo pipefail
umask 022

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
root=$(dirname "$here")
# shellcheck source=deploy/machine.sh
. "$root/deploy/machine.sh"
quickstart=$root/deploy/quickstart.sh
instance_label=dev.pointsman.instance

if [ $# -gt 0 ]; then
  say "usage: test/run.sh (it takes no arguments; single tests: npm test -- PATTERN)" >&2
  exit 2
fi
need_root "$@"
need_node
# The quickstart prints lines for whoever called sudo; here they are run as they stand, by root.
unset SUDO_USER
cd "$root"

# Everything together takes at most this long, in seconds.
limit=5100
passed=0
failed=0
failures=()
work=$(mktemp -d /tmp/pointsman-test-XXXXXX)
# nginx's workers have to get through to the demo.
chmod 755 "$work"
demo=$work/demo
had_base_image=yes

good() { passed=$((passed + 1)); }
bad() {
  failed=$((failed + 1))
  failures+=("$1")
  say "FAILED: $1"
}

# Of the engine that this started. A dockerd that was killed leaves its mounts, its folder on itself among them.
remove_engine_folder() {
  local engine=$work/engine
  if [ ! -e "$engine" ]; then return 0; fi
  awk -v folder="$engine" '$2 == folder || index($2, folder "/") == 1 { print $2 }' /proc/mounts | tac | xargs -r -n 1 umount
  rm -rf --one-file-system -- "$engine"
}

finish() {
  local status=$?
  trap - EXIT INT TERM
  rm -f "$work/asking"
  if [ -e "$demo" ]; then "$quickstart" down --dir "$demo" >>"$work/down.log" 2>&1 || bad 'the quickstart could not be removed'; fi
  if [ -z "$had_base_image" ]; then docker rmi -f node:base >/dev/null 2>&1 || true; fi
  (stop_engine "$work") || bad 'dockerd does not end'
  remove_engine_folder || bad "something is left mounted below $work/engine"
  section 'result'
  if [ ${#failures[@]} -gt 0 ]; then printf 'failed: %s\n' "${failures[@]}"; fi
  if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
    failed=1
    say "ended early with status $status"
  fi
  if [ "$failed" -eq 0 ]; then rm -rf --one-file-system -- "$work"; else say "logs: $work"; fi
  say "$passed passed, $failed failed"
  if [ "$failed" -gt 0 ]; then exit 1; fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# bounded SECONDS COMMAND…: within what is left of the whole.
bounded() {
  local seconds=$1 left=$((limit - SECONDS))
  shift
  if [ "$left" -lt 1 ]; then left=1; fi
  if [ "$seconds" -gt "$left" ]; then seconds=$left; fi
  timeout --kill-after=30 "$seconds" "$@"
}

# check NAME SECONDS COMMAND…: one step. Its output goes to a file, whose end is shown on failure. The
# redirection is a subshell's: what a signal makes this script say is not for the file.
check() {
  local name=$1 log started=$SECONDS status=0
  log=$work/$(tr -cs 'a-z0-9\n' '-' <<<"$name").log
  (bounded "$2" "${@:3}") >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -eq 0 ]; then
    good
    say "ok: $name ($((SECONDS - started)) s)"
    return 0
  fi
  tail -n 60 "$log"
  if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then name="$name (took longer than $2 s)"; fi
  bad "$name"
  return 1
}

# suite PROJECT SECONDS: a vitest project; its own numbers count.
suite() {
  local report=$work/$1.json status=0 numbers suite_passed suite_failed suite_skipped
  section "$1 tests"
  (bounded "$2" npx vitest run --no-color --project "$1" --reporter=default --reporter=json --outputFile.json="$report") \
    >"$work/$1.log" 2>&1 </dev/null || status=$?
  if [ ! -s "$report" ]; then
    tail -n 60 "$work/$1.log"
    bad "$1 tests: ended with status $status and without a report"
    return 0
  fi
  numbers=$(node -e '
    const report = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
    console.log(report.numPassedTests, report.numFailedTests, report.numPendingTests + report.numTodoTests);
  ' "$report")
  read -r suite_passed suite_failed suite_skipped <<<"$numbers"
  say "$suite_passed passed, $suite_failed failed, $suite_skipped skipped"
  passed=$((passed + suite_passed))
  failed=$((failed + suite_failed))
  if [ "$suite_failed" -gt 0 ]; then failures+=("$suite_failed $1 tests"); fi
  # A test that does not run shows nothing, and a file that does not load has no tests.
  if [ "$suite_skipped" -gt 0 ]; then bad "$1 tests: $suite_skipped were skipped"; fi
  if [ "$suite_passed" -eq 0 ]; then bad "$1 tests: none passed"; fi
  if [ "$status" -ne 0 ]; then
    if [ "$suite_failed" -eq 0 ]; then bad "$1 tests: ended with status $status"; fi
    tail -n 150 "$work/$1.log"
  fi
}

# What stands in the engine with a label of ours, one object a line.
objects() {
  local what
  for what in container network volume image; do
    case $what in
      container) docker ps -aq --no-trunc --filter "label=$1" ;;
      *) docker "$what" ls -q --filter "label=$1" ;;
    esac | sed "s/^/$what /"
  done | sort -u
}

prepare() {
  section 'machine'
  install_missing "$work/install.log" docker dockerd iptables nginx git busybox curl npm sshd docker-registry shellcheck ip faketime
  # One that this starts by hand is empty: what others left on the machine's is not in the way.
  ensure_engine "$work" --data-root "$work/engine"
  say "Node $(node --version), $(git --version), $(nginx -v 2>&1), Docker $(docker info --format '{{.ServerVersion}}')"
  if [ -n "$(objects "$instance_label=quickstart")" ]; then
    fail "a quickstart is set up on this engine and would be in the way; remove it first: $quickstart down"
  fi
  if ! docker image inspect node:base >/dev/null 2>&1; then had_base_image=; fi
  check 'npm ci' 600 npm ci --no-audit --no-fund || exit 1
}

run_code_checks() {
  section 'code'
  check 'types' 300 npm run types || true
  check 'lint' 300 npm run lint || true
  check 'format' 300 npm run format:check || true
  check 'generated files are up to date' 300 npm run generate -- --check || true
  check 'shell scripts' 60 npm run lint:shell || true
}

# Names of the instances that have something in the engine.
instances() {
  local what id
  while read -r what id; do
    # What goes meanwhile is not there.
    docker inspect --type "$what" --format '{{json .}}' "$id" 2>/dev/null || true
  done < <(objects "$instance_label") | node -e '
    const lines = require("node:fs").readFileSync(0, "utf8").split("\n").filter(Boolean);
    const labels = lines.map((line) => JSON.parse(line)).map(({ Labels, Config }) => Labels ?? Config?.Labels ?? {});
    for (const name of [...new Set(labels.map((each) => each[process.argv[1]]))].sort()) if (name) console.log(name);
  ' "$instance_label"
}

# run_on_engine PROJECT SECONDS: a suite that has to leave the engine as it was.
run_on_engine() {
  local before left
  before=$(instances)
  suite "$1" "$2"
  # Instances that were there before are other people's, and may have changed.
  left=$(comm -13 <(echo "$before") <(instances))
  if [ -z "$left" ]; then
    good
  else
    bad "$1 tests: left something of ${left//$'\n'/, } in the engine"
  fi
}

# --- the quickstart, as a person runs it --------------------------------------------------------

# asked PATH: the body that hello answers, through nginx.
asked() { curl -fsS --noproxy '*' -m 5 -H 'Host: hello.localhost' "http://127.0.0.1:$port$1" 2>/dev/null; }
answers() { [ "$(asked /version)" = "$1" ]; }
builds() { grep -c '"to":"building"' "$demo/state/journal.jsonl" || true; }
hello_state() {
  node "$root/dist/main.js" status --json --config "$demo/pointsman.yaml" 2>/dev/null | node -e '
    const { projects } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
    console.log(projects.hello.state, projects.board.state);' || true
}
both_live() { [ "$(hello_state)" = 'live live' ]; }

# within SECONDS COMMAND…: polls until it succeeds.
within() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    if [ "$SECONDS" -ge "$deadline" ]; then return 1; fi
    sleep 0.1
  done
}

# expect NAME COMMAND…
expect() {
  local name=$1
  shift
  if "$@"; then
    good
    say "ok: $name"
  else
    bad "$name"
  fi
}

# The line that the quickstart printed behind this word.
printed_line() { sed -n "s/^  $1   *//p" "$work/quickstart-up.log"; }

# Asks all the time until the file $work/asking is gone; each request that fails is a line in $work/lost.
keep_asking() {
  while [ -e "$work/asking" ]; do
    asked /version >/dev/null || date +%s.%N >>"$work/lost"
  done
}

nothing_is_left() {
  local left
  left=$(
    objects "$instance_label=quickstart"
    docker images -q pointsman-quickstart:base
    grep -slaF -- "$demo/" /proc/[0-9]*/cmdline || true
    if [ -e "$demo" ]; then echo "$demo"; fi
    if ! port_is_free 127.0.0.1 "$port"; then echo "port $port"; fi
  )
  if [ -n "$left" ]; then
    say "$left"
    return 1
  fi
}

run_quickstart() {
  local before asker
  section 'quickstart'
  check 'quickstart up' 600 "$quickstart" up --dir "$demo" --port "$(free_port 18080)" || {
    tail -n 40 "$demo/controller.log" || true
    return 0
  }
  port=$(sed -n 's#^  http://hello\.localhost:\([0-9]*\)/.*#\1#p' "$work/quickstart-up.log")
  expect 'the quickstart serves version 1' answers 1

  before=$(docker ps -q --no-trunc --filter "label=$instance_label=quickstart" | sort)
  check 'quickstart up, again' 300 "$quickstart" up --dir "$demo" || true
  expect 'the second run changes no container' \
    [ "$before" = "$(docker ps -q --no-trunc --filter "label=$instance_label=quickstart" | sort)" ]

  touch "$work/asking" "$work/lost"
  keep_asking &
  asker=$!
  check 'the printed commit line' 30 bash -c "$(printed_line commit)" || true
  expect 'the commit brings version 2' within 120 answers 2
  expect 'version 2 passes its bake' within 60 both_live
  before=$(builds)
  check 'the printed revert line' 30 bash -c "$(printed_line revert)" || true
  expect 'the revert brings version 1 back' within 60 answers 1
  expect 'version 1 passes its bake' within 60 both_live
  expect 'the revert builds nothing' [ "$before" = "$(builds)" ]
  rm -f "$work/asking"
  wait "$asker"
  expect 'no request was lost' [ ! -s "$work/lost" ]
  check 'the printed status line' 30 bash -c "$(printed_line status)" || true

  check 'quickstart down' 180 "$quickstart" down --dir "$demo" || true
  expect 'nothing is left of the quickstart' nothing_is_left
  check 'quickstart down, again' 60 "$quickstart" down --dir "$demo" || true
}

# The whole controller on a simulated world: its figures are shown, whatever fails prints its seed.
run_simulation() {
  section 'simulation'
  if check 'simulated histories' 780 npm run --silent simulate; then cat "$work/simulated-histories.log"; fi
  if check 'faults at every effect' 900 npm run --silent simulate:enumerated -- --minutes 10; then
    cat "$work/faults-at-every-effect.log"
  fi
  if check 'planted bugs' 600 npm run --silent simulate:planted; then tail -n 1 "$work/planted-bugs.log"; fi
}

run_security() {
  suite security 600
  # What it executed is worth reading; a finding fails.
  if check 'fuzzing' 120 npm run --silent fuzz -- --seconds 60 --seed 1; then cat "$work/fuzzing.log"; fi
}

prepare
run_code_checks
suite unit 600
suite simulation 120
run_simulation
run_security
section 'build'
if check 'build' 300 npm run build; then
  run_on_engine integration 2100
  # The soak alone takes 10 to 20 minutes.
  run_on_engine faults 2400
  grep -A 6 '^faults injected' "$work/faults.log" || true
  section 'benchmarks, short'
  # They check that nothing is lost, never how long something takes.
  check 'benchmarks' 600 npm run bench -- --short || true
  run_quickstart
else
  bad 'integration tests: not run, there is no build'
  bad 'benchmarks: not run, there is no build'
  bad 'quickstart: not run, there is no build'
fi
