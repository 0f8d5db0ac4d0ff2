// The main commands through ioredis: written on one node, read on another.
// usage: node commands.mjs PORT...   (the RESP ports of one cluster's nodes)
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import Redis from "ioredis";

async function strings(r, other, p) {
  assert.equal(await r.ping(), "PONG");
  assert.equal(await r.set(p + "a", "1"), "OK");
  assert.equal(await other.get(p + "a"), "1");
  assert.equal(await r.incr(p + "a"), 2);
  assert.equal(await other.incrby(p + "a", 40), 42);
  assert.equal(await r.decr(p + "a"), 41);
  assert.equal(await r.set(p + "a", "x", "NX"), null);
  assert.equal(await r.set(p + "a", "y", "GET"), "41");
  assert.equal(await other.append(p + "a", "z"), 2);
  assert.equal(await r.strlen(p + "a"), 2);
  assert.equal(await r.getdel(p + "a"), "yz");
  assert.equal(await other.get(p + "a"), null);
  assert.equal(await r.mset(p + "x", "1", p + "y", "2"), "OK");
  assert.deepEqual(await other.mget(p + "x", p + "none", p + "y"), ["1", null, "2"]);
  assert.equal(await r.exists(p + "x", p + "y", p + "none"), 2);
  assert.equal(await r.type(p + "x"), "string");
  assert.equal(await other.del(p + "x", p + "y"), 2);
  await r.set(p + "text", "text");
  await assert.rejects(r.incr(p + "text"), /not an integer/);
  await assert.rejects(r.call("SURF"), /unknown command/);
}

async function expiry(r, other, p) {
  await r.set(p + "e", "v", "EX", 100);
  const ttl = await other.ttl(p + "e");
  assert.ok(ttl > 90 && ttl <= 100, `TTL is ${ttl}`);
  assert.equal(await other.persist(p + "e"), 1);
  assert.equal(await r.ttl(p + "e"), -1);
  assert.equal(await r.pexpire(p + "e", 50), 1);
  const deadline = Date.now() + 30_000;
  while (await other.exists(p + "e")) {
    assert.ok(Date.now() < deadline, "the key does not expire");
    await sleep(20);
  }
  assert.equal(await r.ttl(p + "e"), -2);
}

async function pipelines(r, other, p) {
  const pipeline = r.pipeline();
  for (let i = 0; i < 200; i++) pipeline.set(`${p}p${i}`, i).get(`${p}p${i}`);
  const replies = await pipeline.exec();
  replies.forEach(([error, value], i) => {
    assert.equal(error, null);
    assert.equal(value, i % 2 ? String((i - 1) / 2) : "OK");
  });
  const found = new Set();
  for await (const keys of other.scanStream({ match: p + "p*", count: 50 })) keys.forEach((k) => found.add(k));
  assert.equal(found.size, 200);
}

async function siblings(r, other, p) {
  await r.call("DPUT", p + "cart", "milk");
  await other.call("DPUT", p + "cart", "bread");
  const [context, values] = await r.call("DGET", p + "cart", "R", 3);
  assert.deepEqual(values.sort(), ["bread", "milk"]);
  const merged = await other.call("DPUT", p + "cart", "bread,milk", "CONTEXT", context);
  assert.deepEqual(await r.call("DGET", p + "cart", "R", 3), [merged, ["bread,milk"]]);
  await assert.rejects(r.call("DPUT", p + "x", "v", "CONTEXT", context), /BADCONTEXT/);
}

const nodes = process.argv.slice(2).map((port) => new Redis(Number(port), { maxRetriesPerRequest: 1 }));
for (const [i, node] of nodes.entries()) {
  for (const job of [strings, expiry, pipelines, siblings]) {
    await job(node, nodes[(i + 1) % nodes.length], `js:${i}:${job.name}:`);
  }
}
nodes.forEach((node) => node.disconnect());
console.log("ok");
