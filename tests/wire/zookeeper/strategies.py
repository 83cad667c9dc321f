"""Hypothesis strategies for every message of the ZooKeeper protocol."""

from __future__ import annotations

from hypothesis import strategies as st

from agreed.store.records import OPEN_ACL, Credential, Permission
from agreed.wire.zookeeper import messages as m
from agreed.wire.zookeeper import replies

INT = st.integers(-(2**31), 2**31 - 1)
LONG = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
PATH = TEXT.map(str.encode)
DATA = st.none() | st.binary(max_size=40)
ACL = st.just(OPEN_ACL) | st.lists(st.builds(Permission, INT, TEXT, TEXT), max_size=3).map(tuple)
PATHS = st.lists(PATH, max_size=3).map(tuple)
STAT = st.builds(m.Stat, LONG, LONG, LONG, LONG, INT, INT, INT, LONG, INT, INT, LONG)

PLAIN_CREATE = st.builds(
    m.CreateRequest,
    PATH,
    DATA,
    ACL,
    INT,
    st.just(0),
    st.sampled_from([m.Op.CREATE, m.Op.CREATE2, m.Op.CREATE_CONTAINER]),
)
CREATE = PLAIN_CREATE | st.builds(m.CreateRequest, PATH, DATA, ACL, INT, LONG, st.just(m.Op.CREATE_TTL))
DELETE = st.builds(m.DeleteRequest, PATH, INT)
SET_DATA = st.builds(m.SetDataRequest, PATH, DATA, INT)
GET_DATA = st.builds(m.GetDataRequest, PATH, st.booleans())
GET_CHILDREN = st.builds(m.GetChildrenRequest, PATH, st.booleans())
WATCHES = st.builds(m.SetWatchesRequest, LONG, PATHS, PATHS, PATHS)
WATCHES2 = st.builds(m.SetWatchesRequest, LONG, PATHS, PATHS, PATHS, PATHS, PATHS, st.just(m.Op.SET_WATCHES2))

REQUEST = st.one_of(
    CREATE,
    DELETE,
    SET_DATA,
    GET_DATA,
    GET_CHILDREN,
    st.builds(m.ExistsRequest, PATH, st.booleans()),
    st.builds(m.GetChildren2Request, PATH, st.booleans()),
    st.builds(m.GetAclRequest, PATH),
    st.builds(m.SetAclRequest, PATH, ACL, INT),
    st.builds(m.SyncRequest, PATH),
    st.just(m.PingRequest()),
    st.builds(
        m.MultiRequest,
        st.lists(CREATE | DELETE | SET_DATA | st.builds(m.CheckRequest, PATH, INT), max_size=4).map(tuple),
    ),
    st.builds(m.MultiReadRequest, st.lists(GET_DATA | GET_CHILDREN, max_size=4).map(tuple)),
    st.builds(m.ReconfigRequest, TEXT, TEXT, TEXT, LONG),
    st.builds(m.CheckWatchesRequest, PATH, st.sampled_from(m.WatcherType)),
    st.builds(m.RemoveWatchesRequest, PATH, st.sampled_from(m.WatcherType)),
    st.builds(m.AuthRequest, INT, TEXT, st.binary(max_size=20)),
    WATCHES,
    WATCHES2,
    st.builds(m.SaslRequest, st.binary(max_size=40)),
    st.builds(m.GetEphemeralsRequest, PATH),
    st.builds(m.GetAllChildrenNumberRequest, PATH),
    st.builds(m.AddWatchRequest, PATH, st.sampled_from(m.AddWatchMode)),
    st.just(m.WhoAmIRequest()),
)
"""Every request but closeSession, after which there is nothing more to hear."""

CONNECT = st.builds(m.ConnectRequest, INT, LONG, INT, LONG, st.binary(max_size=20), st.none() | st.booleans())

ERROR = st.builds(replies.ErrorReply, INT)
_GET_DATA_REPLY = st.builds(replies.GetDataReply, DATA, STAT)
_GET_CHILDREN_REPLY = st.builds(replies.GetChildrenReply, PATHS)
_RESULT = st.one_of(
    st.builds(replies.CreateReply, PATH),
    st.builds(replies.Create2Reply, PATH, STAT),
    st.builds(replies.SetDataReply, STAT),
    st.builds(replies.HeaderReply, st.sampled_from([m.Op.DELETE, m.Op.CHECK])),
    ERROR,
)
_HEADER_ONLY = [
    m.Op.DELETE,
    m.Op.PING,
    m.Op.CHECK_WATCHES,
    m.Op.REMOVE_WATCHES,
    m.Op.AUTH,
    m.Op.SET_WATCHES,
    m.Op.SET_WATCHES2,
    m.Op.CLOSE_SESSION,
]

OP_AND_REPLY = st.one_of(
    st.tuples(st.just(m.Op.CREATE), st.builds(replies.CreateReply, PATH)),
    st.tuples(
        st.sampled_from([m.Op.CREATE2, m.Op.CREATE_CONTAINER, m.Op.CREATE_TTL]),
        st.builds(replies.Create2Reply, PATH, STAT),
    ),
    st.tuples(st.just(m.Op.EXISTS), st.builds(replies.ExistsReply, STAT)),
    st.tuples(st.just(m.Op.GET_DATA), _GET_DATA_REPLY),
    st.tuples(st.just(m.Op.SET_DATA), st.builds(replies.SetDataReply, STAT)),
    st.tuples(st.just(m.Op.GET_ACL), st.builds(replies.GetAclReply, ACL, STAT)),
    st.tuples(st.just(m.Op.SET_ACL), st.builds(replies.SetAclReply, STAT)),
    st.tuples(st.just(m.Op.GET_CHILDREN), _GET_CHILDREN_REPLY),
    st.tuples(st.just(m.Op.GET_CHILDREN2), st.builds(replies.GetChildren2Reply, PATHS, STAT)),
    st.tuples(st.just(m.Op.SYNC), st.builds(replies.SyncReply, PATH)),
    st.tuples(st.just(m.Op.RECONFIG), st.builds(replies.ReconfigReply, st.binary(max_size=40), STAT)),
    st.tuples(st.just(m.Op.SASL), st.builds(replies.SaslReply, DATA)),
    st.tuples(st.just(m.Op.GET_EPHEMERALS), st.builds(replies.GetEphemeralsReply, PATHS)),
    st.tuples(st.just(m.Op.GET_ALL_CHILDREN_NUMBER), st.builds(replies.GetAllChildrenNumberReply, INT)),
    st.tuples(st.just(m.Op.ADD_WATCH), st.builds(replies.AddWatchReply, INT)),
    st.tuples(
        st.just(m.Op.WHO_AM_I),
        st.builds(replies.WhoAmIReply, st.lists(st.builds(Credential, TEXT, TEXT), max_size=3).map(tuple)),
    ),
    st.sampled_from(_HEADER_ONLY).map(lambda op: (op, replies.HeaderReply(op))),
    st.tuples(st.just(m.Op.MULTI), st.builds(replies.MultiReply, st.lists(_RESULT, max_size=4).map(tuple))),
    st.tuples(
        st.just(m.Op.MULTI_READ),
        st.builds(
            replies.MultiReadReply,
            st.lists(_GET_DATA_REPLY | _GET_CHILDREN_REPLY | ERROR, max_size=4).map(tuple),
        ),
    ),
)
"""A reply and the operation which it answers."""
