"""What an etcd client is to this node: connections, calls, and a service for each part of the API.

Connections and calls

    front.py              all connections; who speaks what; every call ends
    calls.py, waiting.py  one call under way, whatever it came over, and what it waits for
    grpc_connection.py    frames and calls
    gateway.py            HTTP/1.1 and calls: gateway_exchanges.py, gateway_answers.py, gateway_websocket.py,
                          slow_requests.py
    pages.py, metrics.py  what is neither: health, version, numbers
    callers.py            who calls, and what he may do; passwords.py
    forwarding.py         calls that only the leader can answer

Services (`services.py` has them all)

    kv.py                 reads and writes of keys; large_ranges.py
    watch.py              watch_index.py, watch_streams.py, watch_history.py
    leases.py             renewals.py
    lock.py, election.py  rows.py
    cluster.py            members
    maintenance.py        space.py, compaction.py, backup.py, snapshot_stream.py
    auth.py, health.py
"""
