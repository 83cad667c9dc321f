#!/bin/sh
# Installs the real peers that tests and measurements run against: Debian's ZooKeeper (server and client tools),
# the C client library, a C compiler for what is built on it, a Java runtime, and for torture a real etcd and
# the library that tells a process another time of day.  Only Debian packages.
#
# Idempotent: what is there is not touched, and where all of it is there nothing is asked of the network.
#
# Exit status   0   everything is there now
#               3   it cannot be installed here (no apt, or not root and no sudo); what is missing is named.
#                   Tests that need a peer are skipped with a plain reason, and nothing else needs one.
#               1   apt was asked and failed
set -eu

WANTED="zookeeper zookeeper-bin libzookeeper-mt-dev gcc libc6-dev etcd-server libfaketime"

installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing() {
    absent=
    for package in $WANTED; do
        installed "$package" || absent="$absent $package"
    done
    # The package of ZooKeeper brings a runtime with it; this is for a system that has lost it since.
    command -v java >/dev/null 2>&1 || absent="$absent default-jre-headless"
    echo $absent
}

if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
    echo "peers: this system has no apt; the peers are Debian packages: $WANTED default-jre-headless" >&2
    exit 3
fi

absent=$(missing)
if [ -z "$absent" ]; then
    echo "peers: all there"
    exit 0
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1 || ! sudo -n true 2>/dev/null; then
        echo "peers: not root, and no sudo without a password; run as root: apt-get install $absent" >&2
        exit 3
    fi
    as_root="sudo -n"
fi

echo "peers: installing $absent"
$as_root apt-get update -q || { echo "peers: apt-get update failed" >&2; exit 1; }
# --no-install-recommends: what is only recommended is not needed to run it.
# shellcheck disable=SC2086  # a list of packages is meant to be split
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $absent \
    || { echo "peers: apt-get install failed" >&2; exit 1; }

absent=$(missing)
if [ -n "$absent" ]; then
    echo "peers: still missing: $absent" >&2
    exit 1
fi
echo "peers: all there"
