# shellcheck shell=bash
# What deploy/quickstart.sh and test/run.sh need from a machine: root, Node, packages, a Docker
# engine. Sourced by them; bash, `set -euo pipefail`.

# Programs of an administrator are not on everybody's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
# docker and the controller have to speak to the same engine, whatever docker contexts say.
export DOCKER_HOST=${DOCKER_HOST:-unix:///var/run/docker.sock}

say() { printf '%s\n' "$*"; }
section() { printf '\n== %s\n' "$*"; }
fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# need_root ARGS…: ends with status 2 and the exact line to type when this is not root.
need_root() {
  [ "$(id -u)" -ne 0 ] || return 0
  local line
  line=$(printf '%q ' "$(readlink -f "$0")" "$@")
  {
    say "this needs root: it installs packages and talks to the Docker engine. Run"
    if command -v sudo >/dev/null; then say "  sudo ${line% }"; else say "  su -c $(printf '%q' "${line% }")"; fi
  } >&2
  exit 2
}

need_node() {
  command -v node >/dev/null ||
    fail "node is not on PATH of $(id -un); install Node.js 20.19 or later (https://nodejs.org/en/download)"
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    fail "$(command -v node) is $(node --version); install Node.js 20.19 or later (https://nodejs.org/en/download)"
}

# 0 when systemd runs this machine.
has_systemd() { [ -d /run/systemd/system ]; }

engine_answers() { timeout 20 docker info --format '{{.ServerVersion}}' >/dev/null 2>&1; }

has_static_busybox() {
  local program
  program=$(command -v busybox) && ! ldd "$program" >/dev/null 2>&1
}

# install_missing LOG PROGRAM…: installs the Debian packages of the programs that are not there.
# Services of these packages are neither started nor enabled, apart from Docker's.
install_missing() {
  local log=$1 program package
  local -a packages=()
  shift
  for program in "$@"; do
    case $program in
      busybox) if has_static_busybox; then continue; else package=busybox-static; fi ;;
      dockerd) if command -v dockerd >/dev/null || engine_answers; then continue; else package=docker.io; fi ;;
      *) if command -v "$program" >/dev/null; then continue; else package=$(package_of "$program"); fi ;;
    esac
    case " ${packages[*]:-} " in *" $package "*) ;; *) packages+=("$package") ;; esac
  done
  [ ${#packages[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null ||
    fail "missing here: ${packages[*]} (names of Debian packages); install them and run this again"
  say "installing ${packages[*]}"
  apt_install "$log" "${packages[@]}" || {
    tail -n 20 "$log" >&2
    fail "apt-get could not install ${packages[*]} (whole output: $log); check the network and /etc/apt/sources.list"
  }
}

package_of() {
  case $1 in
    docker) echo docker.io ;;
    nginx) echo nginx-light ;;
    sshd) echo openssh-server ;;
    ip) echo iproute2 ;;
    git | curl | iptables | npm | docker-registry | shellcheck | faketime) echo "$1" ;;
    *) fail "no package is known for the program $1" ;;
  esac
}

has_candidate() { apt-cache policy "$1" 2>/dev/null | grep 'Candidate: [^(]' >/dev/null; }

# apt_install LOG PACKAGE…
# `set -e` does not count inside: the caller asks how it went.
apt_install() (
  log=$1
  shift
  policy=/usr/sbin/policy-rc.d
  # Debian starts what it installs; this asks it not to.
  if [ ! -e "$policy" ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l
  apt=(apt-get -q -y -o DPkg::Lock::Timeout=120)
  "${apt[@]}" update >>"$log" 2>&1 || say "apt-get update failed, trying with the lists that are here"
  packages=()
  for package in "$@"; do
    # Newer releases keep the client apart, and have one nginx only.
    if [ "$package" = docker.io ] && has_candidate docker-cli; then packages+=(docker-cli); fi
    if [ "$package" = nginx-light ] && ! has_candidate nginx-light; then package=nginx; fi
    packages+=("$package")
  done
  "${apt[@]}" install "${packages[@]}" >>"$log" 2>&1 </dev/null || exit 1
  has_systemd || exit 0
  for package in "${packages[@]}"; do
    # Only the program is wanted; its stock service would take ports 80, 22 or 5000 at the next boot.
    case $package in
      nginx*) systemctl disable --quiet --now nginx.service >>"$log" 2>&1 || true ;;
      openssh-server) systemctl disable --quiet --now ssh.service ssh.socket >>"$log" 2>&1 || true ;;
      docker-registry) systemctl disable --quiet --now docker-registry.service >>"$log" 2>&1 || true ;;
    esac
  done
)

# ensure_engine FOLDER [OPTION…]: makes a Docker engine answer. Where no init system runs it is
# started by hand, with these options of dockerd; its pid and log stand in FOLDER then, as
# dockerd.pid and dockerd.log.
ensure_engine() {
  if engine_answers; then return 0; fi
  case $DOCKER_HOST in
    unix:///var/run/docker.sock | unix:///run/docker.sock) ;;
    *) fail "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST" ;;
  esac
  if has_systemd; then
    systemctl start docker || fail "systemctl start docker failed; journalctl -u docker says why"
    wait_for_engine || fail "docker.service runs but does not answer; journalctl -u docker says why"
    return 0
  fi
  start_engine "$@"
}

# start_engine FOLDER [OPTION…]
start_engine() {
  local folder=$1 pid
  shift
  say "starting dockerd (log: $folder/dockerd.log)"
  if ! grep -q ' cgroup2\? ' /proc/mounts; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup || fail "no cgroups are mounted and they cannot be; containers cannot run here"
    touch "$folder/cgroup-mounted"
  fi
  rm -f "$folder/dockerd.pid"
  setsid nohup dockerd --pidfile "$folder/dockerd.pid" "$@" >>"$folder/dockerd.log" 2>&1 </dev/null &
  pid=$!
  if wait_for_engine "$pid"; then return 0; fi
  tail -n 15 "$folder/dockerd.log" >&2
  stop_engine "$folder"
  fail "dockerd does not run on this machine (log: $folder/dockerd.log)"
}

# wait_for_engine [PID]: at most 60 s; gives up at once when PID ends.
wait_for_engine() {
  local deadline=$((SECONDS + 60))
  until engine_answers; do
    if [ "$SECONDS" -ge "$deadline" ]; then return 1; fi
    if [ $# -gt 0 ] && ! kill -0 "$1" 2>/dev/null; then return 1; fi
    sleep 0.5
  done
}

# stop_engine FOLDER: stops the dockerd that ensure_engine started by hand, if it did.
stop_engine() {
  local pid
  if pid=$(cat "$1/dockerd.pid" 2>/dev/null) && is_process "$pid" dockerd; then
    say "stopping dockerd ($pid)"
    end_process "$pid" 60
  fi
  if [ -e "$1/cgroup-mounted" ]; then umount /sys/fs/cgroup || true; fi
  rm -f "$1/dockerd.pid" "$1/cgroup-mounted"
}

# is_process PID TEXT: 0 when PID runs and TEXT stands in its command line. A pid alone may have
# been given to somebody else.
is_process() {
  case $1 in '' | *[!0-9]*) return 1 ;; esac
  grep -qsaF -- "$2" "/proc/$1/cmdline"
}

# end_process PID SECONDS: SIGTERM, and SIGKILL when that time has passed.
end_process() {
  local deadline=$((SECONDS + $2))
  kill -TERM "$1" 2>/dev/null || return 0
  while kill -0 "$1" 2>/dev/null && ! is_zombie "$1"; do
    if [ "$SECONDS" -ge "$deadline" ]; then kill -KILL "$1" 2>/dev/null || true; fi
    if [ "$SECONDS" -ge $((deadline + 10)) ]; then fail "process $1 does not end"; fi
    sleep 0.1
  done
}

# A process that has ended, but nobody has asked how.
is_zombie() { grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"; }

# port_is_free ADDRESS PORT
port_is_free() {
  node -e 'const server = require("node:net").createServer();
    server.on("error", () => process.exit(1));
    server.listen({ host: process.argv[1], port: Number(process.argv[2]) }, () => process.exit(0));' "$1" "$2"
}

# free_port FROM: the first free port of 127.0.0.1 from there on, of the next hundred.
free_port() {
  local port
  for ((port = $1; port < $1 + 100; port += 1)); do
    if port_is_free 127.0.0.1 "$port"; then
      echo "$port"
      return 0
    fi
  done
  fail "no port of 127.0.0.1 is free from $1 to $(($1 + 99))"
}
