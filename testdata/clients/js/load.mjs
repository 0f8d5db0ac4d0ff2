// Writes and reads through ioredis or node-redis until its time is up; any
// error that the client's own retries do not cover ends it.
// usage: node load.mjs ioredis|node-redis plain|cluster SECONDS PORT...
import assert from "node:assert/strict";
import Redis from "ioredis";
import { createClient, createCluster, SocketClosedUnexpectedlyError } from "redis";

const [client, mode, seconds, ...ports] = process.argv.slice(2);

async function connectIoredis() {
  const options = { host: "127.0.0.1", commandTimeout: 5000 };
  const r =
    mode === "cluster"
      ? new Redis.Cluster(ports.map((port) => ({ host: "127.0.0.1", port })), { redisOptions: options })
      : new Redis({ port: ports[0], ...options });
  r.on("error", () => {}); // it reconnects by itself
  return {
    set: (k, v) => r.set(k, v),
    get: (k) => r.get(k),
    mset: (pairs) => r.mset(pairs),
    mget: (keys) => r.mget(keys),
    close: () => r.disconnect(),
  };
}

async function connectNodeRedis() {
  const r =
    mode === "cluster"
      ? createCluster({ rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })) })
      : createClient({ url: `redis://127.0.0.1:${ports[0]}` });
  r.on("error", () => {}); // it reconnects by itself
  await r.connect();
  // What was on its way over a connection that breaks it does not send again:
  // that is left to the application, which knows what may be done twice.
  const again = async (call) => {
    for (let left = 5; ; left--) {
      try {
        return await call();
      } catch (error) {
        const broken = error instanceof SocketClosedUnexpectedlyError || error.code === "ECONNRESET";
        if (!broken || left === 0) throw error;
      }
    }
  };
  return {
    set: (k, v) => again(() => r.set(k, v)),
    get: (k) => again(() => r.get(k)),
    mset: (pairs) => again(() => r.mSet(pairs)),
    mget: (keys) => again(() => r.mGet(keys)),
    close: () => r.destroy(),
  };
}

const r = client === "ioredis" ? await connectIoredis() : await connectNodeRedis();
const p = `${client}:${mode}`;
const until = Date.now() + 1000 * Number(seconds);
let n = 0;
let slowest = 0;
while (Date.now() < until) {
  const began = Date.now();
  const k = `${p}:${n % 500}`;
  assert.equal(await r.set(k, String(n)), "OK");
  assert.equal(await r.get(k), String(n));
  if (n % 10 === 0) {
    const [a, b] = [`{${k}}a`, `{${k}}b`];
    assert.equal(await r.mset({ [a]: String(n), [b]: "x" }), "OK");
    assert.deepEqual(await r.mget([a, b]), [String(n), "x"]);
    const pipeline = [];
    for (let i = 0; i < 20; i++) pipeline.push(r.set(`${p}:p${i}`, String(n)), r.get(`${p}:p${i}`));
    assert.equal((await Promise.all(pipeline)).length, 40);
  }
  slowest = Math.max(slowest, Date.now() - began);
  n++;
}
console.log(`${n} rounds, the slowest ${slowest} ms`);
r.close();
process.exit(0);
