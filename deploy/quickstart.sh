#!/usr/bin/env bash
# Two demo applications on this machine, deployed by Pointsman from local Git repositories.
# See `quickstart.sh --help`.
set -euo pipefail
umask 022

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
root=$(dirname "$here")
# shellcheck source=deploy/machine.sh
. "$here/machine.sh"

instance=quickstart
label=dev.pointsman.instance=$instance
base_image=pointsman-quickstart:base
apps=(hello board)
demo=${POINTSMAN_DEMO_DIR:-/var/lib/pointsman-demo}
port=
live_within=300

usage() {
  cat <<TEXT
usage: quickstart.sh [up] [--dir FOLDER] [--port PORT]
       quickstart.sh down [--dir FOLDER]

up     (default) installs what is missing (docker.io, nginx-light, git, busybox-static, curl, npm),
       starts dockerd where no init system runs and none answers, builds Pointsman, makes a config
       repository and two applications as Git repositories, starts the controller and waits until
       both applications are live. A second run finds all of this and changes nothing.
down   removes every trace of it: controller, nginx, containers, networks, volumes, images, the
       demo folder, and the dockerd that it started. Installed packages, and node_modules and dist
       of this checkout, stay; so does the engine's build cache, which is shared.

--dir FOLDER   where everything of the demo stands; default $demo, or \$POINTSMAN_DEMO_DIR
--port PORT    of 127.0.0.1, where nginx listens; default 8080, or the next free one.
               Counts for the first run in a folder.
--help         this text

Needs root on Debian or Ubuntu, and Node.js 20.19 or later.
TEXT
}

usage_error() {
  say "quickstart.sh: $*" >&2
  usage >&2
  exit 2
}

# What is going on, for the last line of a run that fails.
step='reading the command line'
finish() {
  local status=$?
  if [ "$status" -eq 0 ] || [ "$status" -eq 2 ]; then return 0; fi
  printf '\nquickstart.sh stopped while %s.\n' "$step" >&2
  if [ "$command" = up ]; then
    say "Running it again carries on from here. To remove what is there: $(own_line down)" >&2
  fi
}

# own_line COMMAND: how to call this script for this demo folder.
own_line() {
  local line
  line="$as_root$(printf '%q' "$here/quickstart.sh") $1"
  if [ "$demo" != /var/lib/pointsman-demo ]; then line+=" --dir $(printf '%q' "$demo")"; fi
  echo "$line"
}

# The demo folder is removed as a whole, so it has to be one that was made here (or nothing yet). A
# controller whose folder was removed under its feet writes its state anew.
is_ours() {
  local holds
  if [ ! -e "$demo" ] || [ -e "$demo/.pointsman-demo" ]; then return 0; fi
  holds=$(ls -A -- "$demo")
  [ -z "$holds" ] || [ "$holds" = state ]
}

check_folder() {
  local folder=$demo
  case $demo in /*) ;; *) usage_error "the demo folder must be an absolute path, not '$demo'" ;; esac
  demo=$(realpath -m -- "$demo")
  if [ ${#demo} -gt 80 ]; then fail "the path $demo is too long for the socket in it; at most 80 bytes"; fi
  if [[ $demo =~ [^A-Za-z0-9/._+@=,~-] ]]; then
    fail "'$demo' has a character that could mean something in nginx's configuration; name a plainer folder with --dir"
  fi
  if ! is_ours; then
    fail "$demo holds something that is not from here; name another folder with --dir"
  fi
  # nginx's workers are another user, and have to get through to the switch files.
  folder=$(dirname "$demo")
  while [ "$command" = up ]; do
    case $(stat -c %A -- "$folder" 2>/dev/null || echo x) in
      *[xt]) ;;
      *) fail "nginx's workers could not enter $folder; name a demo folder that everybody may reach with --dir" ;;
    esac
    if [ "$folder" = / ]; then break; fi
    folder=$(dirname "$folder")
  done
}

# --- up ---------------------------------------------------------------------------------------

install_needs() {
  step='installing what is missing'
  need_node
  install_missing "$demo/install.log" docker dockerd iptables nginx git busybox curl npm
}

# Runs npm as the owner of the checkout, who may be another user than root.
as_owner() {
  local owner home
  owner=$(stat -c %U -- "$root")
  home=$(getent passwd "$owner" | cut -d: -f6) || home=
  if [ "$owner" = root ] || [ -z "$home" ]; then
    (cd "$root" && "$@")
  else
    (cd "$root" && runuser -u "$owner" -- env "HOME=$home" "PATH=$PATH" "$@")
  fi
}

# run_quietly LOG COMMAND…: shows the end of the output when the command fails.
run_quietly() {
  local log=$1
  shift
  if ! "$@" >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    fail "'${*: -3}' failed (whole output: $log)"
  fi
}

build_pointsman() {
  local stale=
  step='building Pointsman'
  if [ ! -e "$root/node_modules/.package-lock.json" ] ||
    [ "$root/package-lock.json" -nt "$root/node_modules/.package-lock.json" ]; then
    stale=packages
  elif [ ! -e "$root/dist/main.js" ] ||
    [ -n "$(find "$root/src" "$root/package.json" "$root/tsconfig.build.json" -newer "$root/dist/main.js" -print -quit)" ]; then
    stale=code
  fi
  if [ -z "$stale" ]; then
    say "Pointsman is built already"
    return 0
  fi
  stop_controller
  if [ "$stale" = packages ]; then
    say "npm ci"
    run_quietly "$demo/npm.log" as_owner npm ci --no-audit --no-fund
  fi
  say "npm run build"
  run_quietly "$demo/build.log" as_owner npm run build
  touch "$root/dist/main.js"
}

# commit_all FOLDER MESSAGE: the first commit of a repository, made so that the lines to try work
# on a machine without any Git configuration, and despite one that signs or has hooks.
commit_all() {
  git -C "$1" init -q
  git -C "$1" symbolic-ref HEAD refs/heads/main
  git -C "$1" config user.name 'Pointsman demo'
  git -C "$1" config user.email demo@localhost
  git -C "$1" config commit.gpgsign false
  git -C "$1" config core.hooksPath /dev/null
  git -C "$1" add -A
  git -C "$1" commit -q -m "$2"
}

has_commit() { git -C "$1" rev-parse -q --verify HEAD >/dev/null 2>&1; }

make_repositories() {
  local app
  step='making the demo repositories'
  for app in "${apps[@]}"; do
    if [ -d "$demo/$app/.git" ] && has_commit "$demo/$app"; then continue; fi
    rm -rf "${demo:?}/$app"
    cp -r "$root/examples/$app" "$demo/$app"
    commit_all "$demo/$app" 'Version 1'
    say "application $app: $demo/$app"
  done
  if [ -d "$demo/config/.git" ] && has_commit "$demo/config"; then return 0; fi
  rm -rf "$demo/config"
  mkdir -p "$demo/config/projects"
  # hello from the smallest example, board from the one with every field, both from here.
  write_manifest "$root/examples/config/projects/minimal.yaml" "$demo/config/projects/hello.yaml" hello
  cat >>"$demo/config/projects/hello.yaml" <<YAML
build: { args: { BASE: '$base_image' } }
health: { path: /healthz }
YAML
  write_manifest "$root/examples/config/projects/full.yaml" "$demo/config/projects/board.yaml" board
  commit_all "$demo/config" 'Two projects'
  say "config repository: $demo/config"
}

# write_manifest FROM TO APP: with the repository and the base image of this machine.
write_manifest() {
  local text repo
  text=$(cat -- "$1")
  repo=$(quoted "$demo/$3")
  text=${text//"https://git.example.com/acme/$3.git"/"$repo"}
  text=${text//node:22-slim/"$base_image"}
  printf '%s\n' "$text" >"$2"
}

# quoted TEXT: as a string for YAML.
quoted() { node -p 'JSON.stringify(process.argv[1])' -- "$1"; }

write_settings() {
  local wanted=${port:-8080} verify
  step='writing the settings'
  if [ -e "$demo/pointsman.yaml" ]; then
    # What stands there counts: the running nginx listens to it.
    port=$(sed -n "s/^ *listen: \['127\.0\.0\.1:\([0-9]*\)'\]$/\1/p" "$demo/pointsman.yaml")
    if [ -z "$port" ]; then fail "$demo/pointsman.yaml has no listen: ['127.0.0.1:<port>'] any more"; fi
    return 0
  fi
  port=$(free_port "$wanted")
  if [ "$port" != "$wanted" ]; then say "port $wanted is taken, nginx listens on $port instead"; fi
  verify=$(free_port 9180)
  if [ "$verify" = "$port" ]; then verify=$(free_port $((verify + 1))); fi
  cat >"$demo/pointsman.yaml" <<YAML
# Settings of the quickstart; deploy/pointsman.example.yaml explains every field.
apiVersion: pointsman.dev/v1
kind: Settings
instance: $instance
configRepo:
  url: $(quoted "$demo/config")
stateDir: $(quoted "$demo/state")
docker: { socket: $(quoted "${DOCKER_HOST#unix://}") }
nginx:
  mode: managed
  listen: ['127.0.0.1:$port']
  verify: 127.0.0.1:$verify
  baseDomain: localhost
secrets: { dir: $(quoted "$demo/secrets") }
YAML
  mkdir -p "$demo/state" "$demo/secrets"
  chmod 700 "$demo/secrets"
}

pointsman() { node "$root/dist/main.js" "$@" --config "$demo/pointsman.yaml"; }

# Pids of the processes of this demo: `controller` or `nginx`. From /proc rather than from files,
# which may be gone or name a pid that is somebody else's by now.
pids_of() {
  local file line pid
  for file in $(grep -slaF -- "$demo/" /proc/[0-9]*/cmdline 2>/dev/null || true); do
    pid=${file#/proc/}
    pid=${pid%/cmdline}
    line=$(tr '\0' ' ' 2>/dev/null <"$file" || true)
    case $1,$line in
      controller,*"/dist/main.js run "*"$demo/pointsman.yaml"*) echo "$pid" ;;
      nginx,"nginx: master process "*"$demo/state/"*) echo "$pid" ;;
    esac
  done
}

# The pid of the controller; nothing when it does not run.
controller() {
  local pid=
  read -r pid < <(pids_of controller) || true
  echo "$pid"
}

stop_controller() {
  local pid
  for pid in $(pids_of controller); do
    say "stopping the controller ($pid)"
    end_process "$pid" 30
  done
}

start_controller() {
  local pid
  step='starting the controller'
  pid=$(controller)
  if [ -n "$pid" ]; then
    say "the controller runs already ($pid)"
    return 0
  fi
  setsid nohup node "$root/dist/main.js" run --config "$demo/pointsman.yaml" \
    >>"$demo/controller.log" 2>&1 </dev/null &
  pid=$!
  say "controller started ($pid, log: $demo/controller.log)"
}

# states PID: one line per application, `hello live ` or `board progressing building`; nothing while
# the controller PID has not written a status.
states() {
  pointsman status --json 2>/dev/null | node -e '
    let status;
    try { status = JSON.parse(require("node:fs").readFileSync(0, "utf8")); } catch { process.exit(0); }
    const [pid, ...names] = process.argv.slice(1);
    if (status.controller?.pid !== Number(pid)) process.exit(0);
    for (const name of names) {
      const project = status.projects?.[name];
      console.log(name, project?.state ?? "unknown", project?.phase ?? "");
    }' "$@" || true
}

# serves APP: a good answer through nginx.
serves() {
  curl -fsS --noproxy '*' -m 5 -o /dev/null -H "Host: $1.localhost" "http://127.0.0.1:$port/healthz" 2>/dev/null
}

wait_until_live() {
  local deadline=$((SECONDS + live_within)) before='' now line app live pid
  step='waiting for both applications to be live'
  while [ "$SECONDS" -lt "$deadline" ]; do
    # Between its fork and its exec the new process does not look like a controller yet.
    pid=$(controller)
    now=$(states "${pid:-0}" "${apps[@]}")
    while IFS= read -r line; do
      if [ -n "$line" ] && ! grep -qxF -- "$line" <<<"$before"; then say "  $line"; fi
    done <<<"$now"
    before=$now
    live=0
    for app in "${apps[@]}"; do
      if grep -q "^$app live" <<<"$now" && serves "$app"; then live=$((live + 1)); fi
    done
    if [ "$live" -eq ${#apps[@]} ]; then return 0; fi
    if grep -qE ' (failed|invalid) ' <<<"$now"; then break; fi
    if [ -z "$pid" ] && [ -z "$(controller)" ]; then break; fi
    sleep 0.5
  done
  show_failure
}

show_failure() {
  {
    section 'status'
    pointsman status || true
    section "the end of $demo/controller.log"
    tail -n 10 "$demo/controller.log" | cut -c 1-500 || true
    section 'what to do'
    if [ -z "$(controller)" ]; then
      say "The controller has ended; the log says why."
    else
      say "The controller goes on trying. Its findings: $as_root$(shown_pointsman doctor)"
      say "Build and start output: $as_root$(shown_pointsman 'logs hello --build')"
    fi
  } >&2
  fail "not both applications are live"
}

# shown_pointsman WORDS: a line to paste.
shown_pointsman() {
  printf 'node %q %s --config %q' "$root/dist/main.js" "$1" "$demo/pointsman.yaml"
}

# The line after which messages that name `pointsman` can be followed as they stand.
shown_alias() {
  local line
  line=$as_root$(printf 'node %q --config %q' "$root/dist/main.js" "$demo/pointsman.yaml")
  printf "alias pointsman='%s'" "${line//\'/\'\\\'\'}"
}

show_lines_to_try() {
  local app=$demo/hello next commit
  next=$(($(tr -dc '0-9' <"$app/version.txt" | head -c 6 || true) + 1))
  commit=$(printf 'echo %s > %q && git -C %q commit -qam "Version %s"' "$next" "$app/version.txt" "$app" "$next")
  if [ -n "$as_root" ]; then commit="sudo sh -c '$commit'"; fi
  cat <<TEXT

Live:
  http://hello.localhost:$port/     shows its version, and changes before your eyes
  http://board.localhost:$port/     notes in a volume, over a WebSocket
From another machine: ssh -L $port:127.0.0.1:$port $(hostname), then the same addresses there.

Try (the page, or: curl http://hello.localhost:$port/version):
  commit   $commit
  revert   $as_root$(printf 'git -C %q revert --no-edit HEAD' "$app")
  status   $as_root$(shown_pointsman status)

The manifests are in $demo/config/projects; a commit there counts as well.
Messages name the command pointsman; in this shell it is there after:
  $(shown_alias)
Remove everything: $(own_line down)
TEXT
}

up() {
  mkdir -p "$demo"
  touch "$demo/.pointsman-demo"
  install_needs
  step='starting the Docker engine'
  ensure_engine "$demo"
  build_pointsman
  step='making the base image'
  "$here/base-image.sh" "$base_image"
  make_repositories
  write_settings
  start_controller
  wait_until_live
  show_lines_to_try
}

# --- down -------------------------------------------------------------------------------------

# remove_objects WHAT DOCKER-COMMAND LIST-COMMAND…: gives what the list prints to `docker DOCKER-COMMAND`.
remove_objects() {
  local what=$1 list
  local -a ids=()
  list=$("${@:3}" | sort -u)
  if [ -z "$list" ]; then return 0; fi
  mapfile -t ids <<<"$list"
  say "removing $what: ${#ids[@]}"
  # Word splitting is meant: the command and its options.
  # shellcheck disable=SC2086
  docker $2 -- "${ids[@]}" >/dev/null || fail "docker $2 failed for ${ids[*]}"
}

remove_from_engine() {
  step="removing what is in the Docker engine"
  # The slot stands on containers of ours alone; those started by hand from our images inherit the rest.
  remove_objects containers 'rm -f -v' docker ps -aq --filter "label=$label" --filter label=dev.pointsman.slot
  remove_objects networks 'network rm' docker network ls -q --filter "label=$label"
  remove_objects volumes 'volume rm' docker volume ls -q --filter "label=$label"
  remove_objects images 'rmi -f' docker images -q --filter "label=$label"
  remove_objects 'base images' 'rmi -f' docker images --format '{{.Repository}}:{{.Tag}}' "$base_image"
}

down() {
  local pid
  step='stopping processes'
  stop_controller
  for pid in $(pids_of nginx); do
    say "stopping nginx ($pid)"
    end_process "$pid" 10
  done
  # An engine that was started by hand, but not since this machine started, still holds what is ours.
  if [ -e "$demo/.pointsman-demo" ] && command -v dockerd >/dev/null && command -v docker >/dev/null; then
    ensure_engine "$demo"
  fi
  if command -v docker >/dev/null && engine_answers; then remove_from_engine; fi
  step='removing the demo folder'
  if [ -d "$demo" ]; then
    stop_engine "$demo"
    say "removing $demo"
    rm -rf -- "$demo"
  fi
  say "nothing of the quickstart is left"
}

# --- the command line -------------------------------------------------------------------------

command=up
given=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    up | down) command=$1 ;;
    --dir | --port)
      if [ $# -lt 2 ]; then usage_error "$1 needs a value"; fi
      if [ "$1" = --dir ]; then demo=$2; else port=$2; fi
      shift
      ;;
    --dir=*) demo=${1#*=} ;;
    --port=*) port=${1#*=} ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) usage_error "what is '$1'?" ;;
  esac
  shift
done
case $port in
  '') ;;
  *[!0-9]*) usage_error "'$port' is not a port" ;;
  *) if [ "$port" -lt 1 ] || [ "$port" -gt 65535 ]; then usage_error "'$port' is not a port"; fi ;;
esac

need_root "${given[@]}"
# Lines to paste are for whoever called sudo.
as_root=
if [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then as_root='sudo '; fi
check_folder
trap finish EXIT
"$command"
