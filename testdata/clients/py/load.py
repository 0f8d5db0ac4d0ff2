"""Writes and reads through redis-py until its time is up; any error that
redis-py's own retries do not cover ends it.

usage: load.py plain|cluster SECONDS PORT...
"""

import sys
import time

import redis
from redis.cluster import ClusterNode, RedisCluster


def connect(mode, ports):
    if mode == "cluster":
        return RedisCluster(
            startup_nodes=[ClusterNode("127.0.0.1", port) for port in ports],
            decode_responses=True,
            socket_timeout=2,
            cluster_error_retry_attempts=10,
        )
    return redis.Redis(port=ports[0], decode_responses=True, socket_timeout=2)


def again(call):
    """A connection that breaks is the application's to try
    again: these writes may be done twice."""
    until = time.time() + 8
    while True:
        try:
            return call()
        except (redis.ConnectionError, redis.TimeoutError):
            if time.time() > until:
                raise
            time.sleep(0.05)


def check(got, want):
    if got != want:
        raise SystemExit(f"{got!r}, want {want!r}")


def work(r, p, n):
    k = f"{p}:{n % 500}"
    check(again(lambda: r.set(k, n)), True)
    check(again(lambda: r.get(k)), str(n))
    if n % 10 == 0:
        a, b = f"{{{k}}}a", f"{{{k}}}b"
        check(again(lambda: r.mset({a: n, b: n + 1})), True)
        check(again(lambda: r.mget(a, b)), [str(n), str(n + 1)])
        check(again(lambda: pipeline(r, p, n)), [True, str(n)] * 20)


def pipeline(r, p, n):
    pipe = r.pipeline() if isinstance(r, RedisCluster) else r.pipeline(transaction=False)
    for i in range(20):
        pipe.set(f"{p}:p{i}", n)
        pipe.get(f"{p}:p{i}")
    return pipe.execute()


def main():
    mode, seconds, ports = sys.argv[1], float(sys.argv[2]), [int(a) for a in sys.argv[3:]]
    r = connect(mode, ports)
    p = f"redis-py:{mode}"
    n, slowest, until = 0, 0.0, time.time() + seconds
    while time.time() < until:
        began = time.time()
        work(r, p, n)
        slowest = max(slowest, time.time() - began)
        n += 1
    print(f"{n} rounds, the slowest {slowest * 1000:.0f} ms")


main()
