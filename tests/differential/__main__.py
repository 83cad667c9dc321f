"""`python -m tests.differential --sequences 10000 --seed 1`: thousands of scripts on a real ZooKeeper and
on ours.  (`python -m tests.differential.etcd` is the same for etcd.)
"""

from __future__ import annotations

import argparse
import contextlib
import sys

from tests.acceptance.cluster import (
    NO_ZOOKEEPER,
    SUPER_DIGEST,
    Cluster,
    Ensemble,
    ZooKeeperEnsemble,
    version_of,
    zookeeper_classpath,
)
from tests.differential.campaign import NOTHING_TO_COMPARE_WITH, chosen, options_of, run
from tests.differential.zookeeper.compare import PeerTraits
from tests.differential.zookeeper.pair import ZooKeeperPair


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if zookeeper_classpath() is None:
        print(NO_ZOOKEEPER)
        return NOTHING_TO_COMPARE_WITH
    with contextlib.ExitStack() as stack:
        reference = stack.enter_context(ZooKeeperEnsemble(1)).nodes[0]
        tested: Ensemble
        if options.against == "zookeeper":
            tested = stack.enter_context(ZooKeeperEnsemble(options.nodes))
        else:
            tested = stack.enter_context(
                Cluster(options.nodes, options=["--super-digest", SUPER_DIGEST], in_memory=True)
            )
        node = tested.nodes[chosen(tested, options.through)]
        traits = PeerTraits(version_of(reference))
        version = ".".join(map(str, traits.version))
        print(f"reference: ZooKeeper {version}; tested: {tested.description}, {node.name}")
        ports = reference.client_port, node.client_port
        return run(ZooKeeperPair(*ports, traits, timeout_s=options.timeout_s), options)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = options_of("tests.differential", __doc__, "zookeeper")
    parser.add_argument("--timeout-s", type=float, default=10.0, help="how long an answer may take")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
