"""What our nodes say to each other, and what `agreed status` and `agreed member` say to a node.

One port speaks both.  A connection opens with `Hello` and is used in one direction: a node sends on the
connections it dialled, and receives on those it accepted, so no two nodes argue about which one to keep.
Only `HelloReply` and the replies to an operator travel the other way.
"""
