#!/bin/sh
# The nginx of mode managed, in the foreground, apart from the controller: under systemd, or as a
# container of its own. The controller finds it by its pid file, reloads it, and starts one itself
# only where none runs.
#
#   managed-nginx.sh [STATE-DIR]      the settings' stateDir, default /var/lib/pointsman
set -eu

state=${1:-/var/lib/pointsman}
state=${state%/}
case $state in
  /*) ;;
  *)
    echo "managed-nginx.sh: $state is no absolute path: name the settings' stateDir" >&2
    exit 2
    ;;
esac
root=$state/nginx
main=$root/nginx.conf
PATH=$PATH:/usr/sbin:/sbin

if [ ! -s "$main" ]; then
  # Before the controller's first start: an nginx without sites, which is reloaded then.
  mkdir -p "$root"
  printf 'pid "%s/nginx.pid";\nerror_log stderr;\nevents {\n}\nhttp {\n}\n' "$root" >"$main"
fi

command_of() {
  tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline"
}

# 0 while the pid file names a master of this configuration that takes connections: one that was told to
# end has closed its ports, whatever its workers still finish.
is_served() {
  pid=$(cat "$root/nginx.pid" 2>/dev/null) || return 1
  case $(command_of "$pid") in
    "nginx: master process "*"$main"*) ;;
    *) return 1 ;;
  esac
  # Where the kernel does not tell of children, while the master lives.
  children=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null) || return 0
  for worker in $children; do
    case $(command_of "$worker") in
      *"is shutting down"*) ;;
      "nginx: worker process"*) return 0 ;;
    esac
  done
  return 1
}

# One that the controller had to start goes first; this one follows when it ends.
while is_served; do
  sleep 0.2
done
exec nginx -c "$main" -g 'daemon off;'
