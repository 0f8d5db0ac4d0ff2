#!/usr/bin/env bash
# Installs what the tests drive dynaring with, where it is missing: redis-cli,
# redis-server (for comparison), the Redis clients of Python, Node, PHP, Ruby and
# C, strace, which makes disks slow and has them fail, and the C compiler that
# Go's race detector links with. For Debian and its kin.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
need() { # need PACKAGE COMMAND…: install PACKAGE if COMMAND fails
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || packages+=("$package")
}
need redis-tools redis-cli --version
need redis-server redis-server --version
need python3 /usr/bin/python3 --version
need python3-redis /usr/bin/python3 -c 'import redis'
need nodejs node --version
need npm npm --version
need strace strace -V
need gcc gcc --version
need libc6-dev test -e /usr/include/stdlib.h
need libhiredis-dev test -e /usr/include/hiredis/hiredis.h
need php-cli php --version
need php-redis php -r 'new Redis();'
need ruby ruby --version
need ruby-redis ruby -e 'require "redis"'

if ((${#packages[@]} > 0)); then
  sudo=()
  if [ "$(id -u)" != 0 ]; then sudo=(sudo); fi
  if ! command -v apt-get >/dev/null; then
    echo "please install: ${packages[*]} (this script can only do it with apt-get)" >&2
    exit 1
  fi
  echo "installing ${packages[*]}"
  "${sudo[@]}" apt-get update -qq
  # RUNLEVEL=1 keeps Debian from starting a redis-server of its own.
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

js=testdata/clients/js
if [ ! -e $js/node_modules/.package-lock.json ] || [ $js/package-lock.json -nt $js/node_modules/.package-lock.json ]; then
  npm ci --prefix $js --no-audit --no-fund --loglevel=error
  touch $js/node_modules/.package-lock.json
fi

# Not to be installed: without them the tests with nodes in network namespaces
# are skipped.
if [ "$(id -u)" != 0 ] || [ ! -e /dev/net/tun ]; then
  echo "Tests in network namespaces will be SKIPPED: they take root and /dev/net/tun." >&2
fi
