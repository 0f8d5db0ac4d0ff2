"""A cluster through redis-py's cluster client, which starts at each node.

usage: cluster.py PORT...   (the RESP ports of all of one cluster's nodes)
"""

import sys

from redis.cluster import RedisCluster

KEYS = 200


def run(port, nodes, from_replicas):
    rc = RedisCluster(host="127.0.0.1", port=port, read_from_replicas=from_replicas)
    assert len(rc.get_nodes()) == nodes, rc.get_nodes()
    assert len(rc.get_primaries()) == nodes, rc.get_primaries()

    for i in range(KEYS):
        assert rc.set(f"py:{i}", i)
        assert rc.get(f"py:{i}") == str(i).encode()
        assert rc.incr(f"n:{i}") == 1
    assert rc.mget_nonatomic([f"py:{i}" for i in range(KEYS)]) == [str(i).encode() for i in range(KEYS)]

    pipe = rc.pipeline()
    for i in range(KEYS):
        pipe.incr(f"n:{i}")
    assert pipe.execute() == [2] * KEYS

    assert len(set(rc.scan_iter("*"))) == 2 * KEYS
    assert len(list(rc.scan_iter("py:*"))) == KEYS
    assert sum(rc.dbsize(target_nodes=n) for n in rc.get_primaries()) == 2 * KEYS
    rc.flushall(target_nodes=RedisCluster.PRIMARIES)
    assert sum(rc.dbsize(target_nodes=n) for n in rc.get_primaries()) == 0
    rc.close()


if __name__ == "__main__":
    ports = [int(p) for p in sys.argv[1:]]
    for number, port in enumerate(ports):
        run(port, len(ports), from_replicas=number % 2 == 1)
