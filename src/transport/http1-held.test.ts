import { once } from "node:events";
import { connect as connectTls } from "node:tls";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createTestAuthority } from "../../test/support/certificates.ts";
import { ask, collect, handlerOf, open, plain, startHttp1, statusesOf } from "../../test/support/http1-kit.ts";
import { testFolder } from "../../test/support/test-folder.ts";
import { ByteBudget } from "./byte-budget.ts";
import type { Http1Exchange } from "./http1-exchange.ts";

/** A server whose requests wait for the test. */
async function startHolding(options: { readonly held?: ByteBudget; readonly writeTimeoutMs?: number } = {}) {
  const { held, writeTimeoutMs = 1000 } = options;
  const exchanges: Http1Exchange[] = [];
  const handler = { writeTimeoutMs, handle: (exchange: Http1Exchange) => void exchanges.push(exchange) };
  const server = await startHttp1({ handler, held });
  return { server, exchanges, connection: await open(server.port) };
}

function fullBudget(): ByteBudget {
  const held = new ByteBudget(10);
  held.take(10);
  return held;
}

describe("what comes before it can be read on", () => {
  test("counts until it is read, and is copied once", async () => {
    const held = new ByteBudget(1_000_000);
    const take = vi.spyOn(held, "take");
    const handler = handlerOf((exchange) => void setImmediate(() => exchange.answer(plain(200))));
    const { port } = await startHttp1({ handler, held });
    const { socket, text } = await open(port);
    const requests = ask("GET").repeat(500);
    socket.write(requests);
    await expect.poll(() => statusesOf(text()).length).toBe(500);
    const counted = take.mock.calls.reduce((sum, [bytes]) => sum + bytes, 0);
    expect(counted).toBeGreaterThan(0);
    expect(counted).toBeLessThan(requests.length);
    expect(held.usedBytes).toBe(0);
  });

  test("counts no longer than its connection is there", async () => {
    const held = new ByteBudget(1000);
    const { server, exchanges, connection } = await startHolding({ held });
    connection.socket.write(ask("GET").repeat(2));
    await expect.poll(() => held.usedBytes).toBe(ask("GET").length);
    await server.close(0);
    await expect.poll(() => held.usedBytes).toBe(0);
    expect(exchanges).toHaveLength(1);
  });

  test("counts no longer than requests are taken", async () => {
    const held = new ByteBudget(1000);
    const { exchanges, connection } = await startHolding({ held });
    connection.socket.write(ask("GET", "Connection: close\r\n") + ask("GET"));
    await expect.poll(() => held.usedBytes).toBe(ask("GET").length);
    exchanges[0]?.answer(plain(200));
    expect(held.usedBytes).toBe(0);
  });

  test("and does not fit ends the connection behind the answer to the request under way", async () => {
    const held = fullBudget();
    const { exchanges, connection } = await startHolding({ held });
    connection.socket.write(ask("GET").repeat(2));
    await expect.poll(() => exchanges.length).toBe(1);
    exchanges[0]?.answer(plain(200, "done"));
    await once(connection.socket, "close");
    expect(connection.text()).toMatch(/^HTTP\/1\.1 200 [\s\S]*connection: close\r\n\r\ndone$/);
    expect([exchanges.length, held.usedBytes]).toEqual([1, 10]);
  });

  test("and does not fit is 503 where it belongs to the request under way", async () => {
    const held = fullBudget();
    const { exchanges, connection } = await startHolding({ held });
    connection.socket.write(`${ask("POST", "Content-Length: 6\r\n")}abc`);
    await once(connection.socket, "close");
    expect(statusesOf(connection.text())).toEqual([503]);
    const cut = vi.fn();
    const [exchange] = exchanges;
    if (exchange !== undefined) collect(exchange, () => {}, cut);
    expect([cut.mock.calls.length, held.usedBytes]).toEqual([1, 10]);
  });

  test("is read before the end of a client's side counts, over TLS too", async () => {
    const authority = createTestAuthority(testFolder());
    const { cert, key } = authority.issue("server");
    const exchanges: Http1Exchange[] = [];
    const { port } = await startHttp1({ tls: { cert, key }, handler: handlerOf((one) => void exchanges.push(one)) });
    const options = { port, host: "127.0.0.1", ca: authority.ca, allowHalfOpen: true };
    const socket = connectTls(options);
    onTestFinished(() => void socket.destroy());
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
    });
    const closed = once(socket, "close");
    socket.end(`${ask("GET")}${ask("POST", "Content-Length: 3\r\n")}abc${ask("GET")}`);
    for (let i = 0; i < 3; i++) {
      await expect.poll(() => exchanges.length).toBe(i + 1);
      // The end comes meanwhile.
      await turns(20);
      const exchange = exchanges[i];
      if (exchange !== undefined) collect(exchange, (body) => exchange.answer(plain(200, body)));
    }
    await closed;
    expect(statusesOf(received)).toEqual([200, 200, 200]);
  });
});

test("a client that has ended its side is not kept longer than it would have to read", async () => {
  const { exchanges, connection } = await startHolding({ writeTimeoutMs: 50 });
  connection.socket.end(ask("GET"));
  await expect.poll(() => exchanges.length).toBe(1);
  await once(connection.socket, "close");
  expect([exchanges[0]?.isOver, connection.text()]).toEqual([true, ""]);
});

test("a client that has not ended its side is waited for", async () => {
  const { exchanges, connection } = await startHolding({ writeTimeoutMs: 20 });
  connection.socket.write(ask("GET"));
  await expect.poll(() => exchanges.length).toBe(1);
  const other = await startHolding({ writeTimeoutMs: 60 });
  other.connection.socket.end(ask("GET"));
  await once(other.connection.socket, "close");
  exchanges[0]?.answer(plain(200));
  await expect.poll(connection.text).toMatch(/^HTTP\/1\.1 200 /);
});

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
