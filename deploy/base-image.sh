#!/bin/sh
# Makes a Docker base image from this machine's own Node, for machines that reach no image registry.
#
#   base-image.sh TAG        for example: base-image.sh node:base
#
# The image holds node, npm, the shared libraries they need, a static busybox with all its applets,
# this machine's CA certificates, and the users root and node (1000). An image under TAG that was
# made from the same Node by the same script is kept as it is.
# Needs: node with npm, docker, GNU tar, busybox-static (Debian package).
set -eu

fail() {
  echo "base-image.sh: $*" >&2
  exit 1
}

[ $# -eq 1 ] || fail "usage: base-image.sh TAG"
tag=$1

node=$(node -p process.execPath) || fail "node is not on PATH; install Node.js 20.19 or later"
command -v docker >/dev/null || fail "docker is not on PATH; install docker.io"
busybox=$(command -v busybox) || fail "busybox is missing; apt-get install busybox-static"
if ldd "$busybox" >/dev/null 2>&1; then
  fail "$busybox is not static and would not run in the image; apt-get install busybox-static"
fi
npm=$(command -v npm) || fail "npm is not on PATH; install it beside node"
npm=$(dirname "$(dirname "$(readlink -f "$npm")")")
[ -f "$npm/bin/npm-cli.js" ] || fail "$npm holds no npm (bin/npm-cli.js is missing)"

made_from="$(node -p 'process.version + " " + process.arch') $(cksum <"$0" | cut -d ' ' -f 1)"
label=dev.pointsman.base-image
there=$(docker image inspect --format "{{ index .Config.Labels \"$label\" }}" "$tag" 2>/dev/null || true)
if [ "$there" = "$made_from" ]; then
  echo "base image $tag is there"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
root=$work/root
mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/usr/lib64" "$root/usr/local/bin" "$root/etc/ssl/certs" \
  "$root/tmp" "$root/var/tmp" "$root/root" "$root/run" "$work/home/home/node"
ln -s usr/bin "$root/bin"
ln -s usr/bin "$root/sbin"
ln -s bin "$root/usr/sbin"
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
chmod 1777 "$root/tmp" "$root/var/tmp"
chmod 700 "$root/root"

# Copies a file to the same path in the image, followed through links.
take() {
  mkdir -p "$root$(dirname "$1")"
  cp -L "$1" "$root$1"
}

# What `ldd` names, by absolute path: libraries and the loader.
libraries() {
  ldd "$1" | sed -n -e 's/^.*=> \(\/[^ ]*\) .*$/\1/p' -e 's/^[[:space:]]*\(\/[^ ]*\) .*$/\1/p'
}

cp -L "$node" "$root/usr/bin/node"
for library in $(libraries "$node"); do
  take "$library"
done
# Name resolution loads these at run time, so ldd does not name them.
libc=$(libraries "$node" | grep '/libc\.so' | head -n 1)
for library in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do
  file=$(dirname "$libc")/$library
  if [ -e "$file" ]; then take "$file"; fi
done

# Debian's own node keeps parts of itself, and all of npm's dependencies, in these folders.
case $npm in
/usr/share/nodejs/*)
  for folder in /usr/share/nodejs /usr/lib/nodejs "$(dirname "$libc")/nodejs"; do
    if [ -d "$folder" ]; then
      mkdir -p "$root$folder"
      # A link that leads nowhere is no reason to stop: what npm really needs is tried below.
      cp -rL "$folder/." "$root$folder" 2>/dev/null || true
    fi
  done
  ;;
*)
  mkdir -p "$root$npm"
  cp -r "$npm/." "$root$npm"
  ;;
esac
# Stand-ins: npm's own files find the rest of npm from where they are.
for program in npm npx; do
  printf '#!/bin/sh\nexec /usr/bin/node %s/bin/%s-cli.js "$@"\n' "$npm" "$program" >"$root/usr/bin/$program"
  chmod 755 "$root/usr/bin/$program"
done

cp "$busybox" "$root/usr/bin/busybox"
for applet in $("$busybox" --list); do
  [ -e "$root/usr/bin/$applet" ] || ln -s busybox "$root/usr/bin/$applet"
done

set -- --change 'CMD ["node"]' --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' \
  --change "LABEL $label=\"$made_from\""
certificates=/etc/ssl/certs/ca-certificates.crt
if [ -f "$certificates" ]; then
  take "$certificates"
  set -- "$@" --change "ENV SSL_CERT_FILE=$certificates NODE_EXTRA_CA_CERTS=$certificates"
fi
printf 'root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000:node:/home/node:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nnode:x:1000:\n' >"$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"

tar --create --file "$work/image.tar" --numeric-owner --owner 0 --group 0 --directory "$root" .
tar --append --file "$work/image.tar" --numeric-owner --owner 1000 --group 1000 --directory "$work/home" home/node
docker import "$@" "$work/image.tar" "$tag" >/dev/null
docker run --rm --network none "$tag" npm --version >/dev/null || fail "npm does not run in the image $tag"
echo "base image $tag made from $node $(node -p process.version)"
