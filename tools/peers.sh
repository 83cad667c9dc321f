#!/bin/sh
# Installs the real peers that tests and measurements run against: Debian's ZooKeeper (server and client tools),
# the C client library, a C compiler for what is built on it, a Java runtime, an etcd and its client, for
# torture the library that tells a process another time of day, for transactions over several databases
# PostgreSQL and the server of MariaDB, Curator, whose locks are to exclude ours, and a browser that looks at our
# pages.  Only Debian packages.
#
# Nothing that was not running runs afterwards, and no database is made: the tests start servers of their own,
# in directories of their own, on free ports of loopback.
#
# Idempotent: what is there is not touched, and where all of it is there nothing is asked of the network.
#
# Exit status   0   everything is there now
#               3   it cannot be installed here (no apt, or not root and no sudo); what is missing is named.
#                   Tests that need a peer are skipped with a plain reason, and nothing else needs one.
#               1   apt was asked and failed
set -eu

WANTED="zookeeper zookeeper-bin libzookeeper-mt-dev gcc libc6-dev etcd-server etcd-client libfaketime \
postgresql mariadb-server-core libcurator-recipes-java libcurator-framework-java libcurator-client-java \
chromium"

# Debian starts a server as soon as it is installed, unless a policy says no, and makes a first database for
# PostgreSQL, which then starts with the system.  Both are asked not to; what was there before stays as it is.
POLICY=/usr/sbin/policy-rc.d
NO_DATABASE=/etc/postgresql-common/createcluster.d/agreed-peers.conf

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

be_quiet() {
    if [ ! -e "$POLICY" ]; then
        printf '#!/bin/sh\nexit 101\n' | $as_root tee "$POLICY" >/dev/null
        $as_root chmod 755 "$POLICY"
        ours_to_remove=$POLICY
    fi
    $as_root mkdir -p "$(dirname "$NO_DATABASE")"
    echo 'create_main_cluster = false' | $as_root tee "$NO_DATABASE" >/dev/null
    ours_to_remove="${ours_to_remove:-} $NO_DATABASE"
}

be_as_before() {
    # shellcheck disable=SC2086  # two file names without a blank in them
    $as_root rm -f ${ours_to_remove:-}
}

echo "peers: installing $absent"
trap be_as_before EXIT
trap 'exit 1' HUP INT TERM
be_quiet
$as_root apt-get update -q || { echo "peers: apt-get update failed" >&2; exit 1; }
# Recommendations are not needed to run it; and rather than remove what is in the way (a MySQL, say), it fails.
# shellcheck disable=SC2086  # a list of packages is meant to be split
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends --no-remove $absent \
    || { echo "peers: apt-get install failed" >&2; exit 1; }

absent=$(missing)
if [ -n "$absent" ]; then
    echo "peers: still missing: $absent" >&2
    exit 1
fi
echo "peers: all there"
