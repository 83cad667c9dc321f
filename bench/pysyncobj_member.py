"""One voting member of a pysyncobj cluster that keeps locks and nothing else, with its journal on disk.

    python -m bench.pysyncobj_member SELF PARTNER,PARTNER JOURNAL

pysyncobj writes its journal through a memory map and does not sync it: what it has acknowledged survives the
end of its processes, and not that of the machine.
"""

from __future__ import annotations

import sys
import time


def main() -> None:
    from pysyncobj import SyncObj, SyncObjConf
    from pysyncobj.batteries import ReplLockManager

    own, partners, journal = sys.argv[1:]
    locks = ReplLockManager(autoUnlockTime=10.0)
    member = SyncObj(own, partners.split(","), SyncObjConf(journalFile=journal), consumers=[locks])
    while not member.isReady():
        time.sleep(0.01)
    print("ready", flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
