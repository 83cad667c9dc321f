"""`python -m tests.differential.etcd --sequences 10000 --seed 1`: thousands of scripts on a real etcd and on
ours.
"""

from __future__ import annotations

import argparse
import contextlib
import sys

from tests.acceptance.etcd.ensemble import NO_DEBIAN_ETCD, NO_ETCD, EtcdEnsemble, EtcdFace, debian, packaged
from tests.differential.campaign import NOTHING_TO_COMPARE_WITH, chosen, options_of, run
from tests.differential.etcd.pair import EtcdPair

REFERENCES = {"3.5.1": (packaged, NO_ETCD), "debian": (debian, NO_DEBIAN_ETCD)}


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    find, reason = REFERENCES[options.reference]
    programs = find()
    if programs is None:
        print(reason)
        return NOTHING_TO_COMPARE_WITH
    with contextlib.ExitStack() as stack:
        reference = stack.enter_context(EtcdEnsemble(1, programs))
        tested: EtcdEnsemble | EtcdFace
        if options.against == "ours":
            tested = stack.enter_context(EtcdFace(options.nodes))
        else:
            tested = stack.enter_context(EtcdEnsemble(options.nodes, programs))
        address = tested.etcd_addresses[chosen(tested, options.through)]
        version = ".".join(map(str, programs.version()))
        print(f"reference: etcd {version}; tested: {tested.description}, {options.through}")
        return run(EtcdPair(reference.etcd_addresses[0], address), options)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = options_of("tests.differential.etcd", __doc__, "etcd")
    parser.add_argument("--reference", choices=list(REFERENCES), default="3.5.1")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
