"""The main commands through redis-py: written on one node, read on another.

usage: commands.py PORT...   (the RESP ports of one cluster's nodes)
"""

import sys
import time

import redis


def check(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: {got!r}, want {want!r}")


def raises(what, text, call):
    try:
        call()
    except redis.RedisError as error:
        # redis-py takes the code off the errors that it knows.
        if text not in str(error):
            raise SystemExit(f"{what}: {error}, want an error with {text!r}")
        return
    raise SystemExit(f"{what}: no error, want one with {text!r}")


def strings(r, other, p):
    check("PING", r.ping(), True)
    check("SET", r.set(p + "a", "1"), True)
    check("GET elsewhere", other.get(p + "a"), "1")
    check("INCR", r.incr(p + "a"), 2)
    check("INCRBY elsewhere", other.incrby(p + "a", 40), 42)
    check("DECR", r.decr(p + "a"), 41)
    check("SET NX", r.set(p + "a", "x", nx=True), None)
    check("SET GET", r.set(p + "a", "y", get=True), "41")
    check("APPEND", other.append(p + "a", "z"), 2)
    check("STRLEN", r.strlen(p + "a"), 2)
    check("GETDEL", r.getdel(p + "a"), "yz")
    check("GET of nothing", other.get(p + "a"), None)
    check("MSET", r.mset({p + "x": "1", p + "y": "2"}), True)
    check("MGET elsewhere", other.mget(p + "x", p + "none", p + "y"), ["1", None, "2"])
    check("EXISTS", r.exists(p + "x", p + "y", p + "none"), 2)
    check("TYPE", r.type(p + "x"), "string")
    check("DEL elsewhere", other.delete(p + "x", p + "y"), 2)
    r.set(p + "text", "text")
    raises("INCR of text", "not an integer", lambda: r.incr(p + "text"))
    raises("unknown command", "unknown command", lambda: r.execute_command("SURF"))


def expiry(r, other, p):
    r.set(p + "e", "v", ex=100)
    if not 90 < other.ttl(p + "e") <= 100:
        raise SystemExit(f"TTL: {other.ttl(p + 'e')}")
    check("PERSIST", other.persist(p + "e"), True)
    check("TTL", r.ttl(p + "e"), -1)
    check("PEXPIRE", r.pexpire(p + "e", 50), True)
    deadline = time.time() + 30
    while other.exists(p + "e"):
        if time.time() > deadline:
            raise SystemExit("the key does not expire")
        time.sleep(0.02)
    check("TTL of an expired key", r.ttl(p + "e"), -2)


def pipelines(r, other, p):
    with r.pipeline(transaction=False) as pipe:
        for i in range(200):
            pipe.set(f"{p}p{i}", i).get(f"{p}p{i}")
        check("pipeline", pipe.execute()[1::2], [str(i) for i in range(200)])
    check("SCAN", len(set(other.scan_iter(match=p + "p*", count=50))), 200)


def siblings(r, other, p):
    r.execute_command("DPUT", p + "cart", "milk")
    other.execute_command("DPUT", p + "cart", "bread")
    context, values = r.execute_command("DGET", p + "cart", "R", 3)
    check("siblings", sorted(values), ["bread", "milk"])
    merged = other.execute_command("DPUT", p + "cart", "bread,milk", "CONTEXT", context)
    check("merged", r.execute_command("DGET", p + "cart", "R", 3), [merged, ["bread,milk"]])
    raises("context of another key", "another key", lambda: r.execute_command("DPUT", p + "x", "v", "CONTEXT", context))


def main(ports):
    nodes = [redis.Redis(port=int(port), decode_responses=True) for port in ports]
    for i, node in enumerate(nodes):
        other = nodes[(i + 1) % len(nodes)]
        for job in strings, expiry, pipelines, siblings:
            job(node, other, f"py:{i}:{job.__name__}:")
    print("ok")


main(sys.argv[1:])
