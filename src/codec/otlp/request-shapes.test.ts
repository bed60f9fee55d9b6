/** Requests that are known by their shape are read as if they were not. */

import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { requestArbitrary } from "../../../test/kit/otlp-arbitrary.ts";
import { normalPoints } from "../../../test/kit/otlp-normal.ts";
import { decodeOtlp, encodeOtlp } from "../../../test/kit/otlp-proto.ts";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import { createHashKey } from "../../kernels/hash-bytes.ts";
import { Identities } from "../../model/identities.ts";
import { MetricsDecoder } from "./decode-metrics.ts";
import { MetricsEncoder } from "./encode-metrics.ts";
import { applyShapeEdit, createMarks, findEdit, type Mark, markedRequest } from "./marked-words.ts";
import { pointWords } from "./point-words.ts";
import { RequestShapes } from "./request-shapes.ts";
import { openRequest } from "./walk-request.ts";

const attribute = (key: string, stringValue: string) => ({ key, value: { stringValue } });

function requestOf(service: string, values: readonly number[], filler = "x"): Uint8Array {
  const dataPoints = values.map((asDouble, i) => ({
    timeUnixNano: "5",
    asDouble,
    attributes: [attribute("point", `${filler}${i}`)],
  }));
  const resource = { attributes: [attribute("service.name", service)] };
  return encodeOtlp("metrics", {
    resourceMetrics: [{ resource, scopeMetrics: [{ metrics: [{ name: "m", gauge: { dataPoints } }] }] }],
  });
}

/** The same request with other words, none of them zero: a zero may be left out. */
function withWords(bytes: Uint8Array, seed: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const view = new DataView(copy.buffer);
  for (const [i, at] of pointWords(bytes).entries()) {
    view.setUint32(at, Math.imul(seed + i, 0x9e3779b1) >>> 0, true);
    view.setUint32(at + 4, Math.imul(seed + i, 0x85ebca6b) | 1, true);
  }
  return copy;
}

function openThrice(decoder: MetricsDecoder, bytes: Uint8Array) {
  decoder.open(bytes);
  decoder.open(bytes);
  return decoder.open(bytes);
}

describe("RequestShapes", () => {
  test.each<[string, (request: Uint8Array) => void, boolean]>([
    [
      "another value",
      (request) => void request.fill(7, pointWords(request)[1], (pointWords(request)[1] ?? 0) + 8),
      true,
    ],
    ["another text", (request) => void request.set([0x79], Buffer.from(request).lastIndexOf("x1")), false],
    ["another tag", (request) => void request.set([0x31], (pointWords(request)[1] ?? 0) - 1), false],
    ["another service", (request) => void request.set([0x74], Buffer.from(request).indexOf("shop")), false],
  ])("%s", (_title, change, isKnown) => {
    const decoder = new MetricsDecoder(new Identities());
    const request = requestOf("shop", [1, 2]);
    decoder.decode(request);
    const { shape } = openThrice(decoder, request);
    expect(shape?.items).toBe(2);
    const changed = Uint8Array.from(request);
    change(changed);
    expect(decoder.open(changed).shape).toBe(isKnown ? shape : undefined);
  });

  test("requests larger than what is compared at once are told too", () => {
    const decoder = new MetricsDecoder(new Identities());
    const request = requestOf(
      "shop",
      Array.from({ length: 9000 }, (_, i) => i),
    );
    decoder.decode(request);
    expect(request.length).toBeGreaterThan(3 * 65_536);
    const { shape } = openThrice(decoder, request);
    expect(shape).toBeDefined();
    expect(decoder.open(withWords(request, 5)).shape).toBe(shape);
    const last = Uint8Array.from(request);
    last[last.length - 1] = 0x79;
    expect(decoder.open(last).shape).toBeUndefined();
  });

  test.each([
    [
      "a length of 150 bytes, which is no number",
      Buffer.concat([Buffer.from([0x0a]), Buffer.alloc(148, 0x80)]),
      `000a${"ff".repeat(7)}7f`,
    ],
    ["a length of 11 bytes", Buffer.concat([Buffer.from([0x0a]), Buffer.alloc(10, 0xff)]), "010a01"],
    ["a length without an end", Buffer.from([0x0a, 0xff, 0xff]), ""],
    ["a resource beyond its message", Buffer.from([0x0a, 3]), "0aff7f00"],
    ["a resource whose length has no end", Buffer.from([0x0a, 9]), "0affffff"],
    ["a resource without a length", Buffer.from([0x0a, 1]), "0a"],
    ["nothing", Buffer.alloc(0), ""],
  ])("bytes that nobody has walked are none that is known: %s", (_title, start, rest) => {
    const shapes = new RequestShapes(createHashKey(randomBytes(12)));
    shapes.isWanted = true;
    expect(shapes.match(Buffer.concat([start, Buffer.from(rest, "hex")]))).toBeUndefined();
  });

  test("any bytes are told in their time", () => {
    const shapes = new RequestShapes(createHashKey(randomBytes(12)));
    shapes.isWanted = true;
    const request = requestOf("shop", [1]);
    for (let i = 0; i < 2; i++) shapes.learn(request, 1);
    const length = fc
      .tuple(fc.integer({ min: 0, max: 200 }), fc.constantFrom(0x80, 0xff), fc.integer({ min: 0, max: 127 }))
      .map(([count, byte, last]) => Buffer.concat([Buffer.alloc(count, byte), Buffer.from([last])]));
    const begins = fc
      .tuple(length, length, fc.uint8Array({ maxLength: 60 }))
      .map(([outer, inner, rest]) => Buffer.concat([Buffer.from([0x0a]), outer, Buffer.from([0x0a]), inner, rest]));
    const mutated = fc
      .tuple(fc.nat({ max: request.length - 1 }), length)
      .map(([at, bytes]) => Buffer.concat([request.subarray(0, at), bytes, request.subarray(at + bytes.length)]));
    fc.assert(
      fc.property(fc.oneof(begins, mutated, fc.uint8Array({ maxLength: 300 })), (bytes) => {
        const shape = shapes.match(bytes);
        if (shape !== undefined) expect(openRequest("metrics", bytes).items).toBe(shape.items);
      }),
      { numRuns: propertyRuns(2000) },
    );
  });

  test("nothing is remembered as long as nobody opens requests", () => {
    const decoder = new MetricsDecoder(new Identities());
    const before = decoder.byteLength;
    expect(openThrice(decoder, requestOf("shop", [1])).shape).toBeUndefined();
    expect(decoder.byteLength).toBe(before);
  });

  test("a client whose requests keep changing is learnt from ever more rarely", () => {
    const shapes = new RequestShapes(createHashKey(randomBytes(12)));
    shapes.isWanted = true;
    let learnt = 0;
    for (let i = 0; i < 100; i++) {
      const request = requestOf("shop", [1], String.fromCharCode(97 + (i % 20)));
      if (shapes.match(request) === undefined && shapes.learn(request, 1) !== undefined) learnt++;
    }
    expect(learnt).toBeLessThan(15);
  });

  test("bytes stay below the bound, and those in use are not given up for others", () => {
    const size = requestOf("s10", [1]).length;
    const shapes = new RequestShapes(createHashKey(randomBytes(12)), size * 20);
    shapes.isWanted = true;
    const send = (service: string) => {
      const request = requestOf(service, [1]);
      return shapes.match(request) ?? shapes.learn(request, 1);
    };
    const services = Array.from({ length: 90 }, (_, i) => `s${i + 10}`);
    for (let round = 0; round < 3; round++) for (const service of services) send(service);
    const known = services.filter((service) => send(service) !== undefined);
    expect(known.length).toBeGreaterThan(10);
    expect(shapes.byteLength).toBeLessThanOrEqual(size * 20);
    for (let round = 0; round < 9; round++) for (const service of services.slice(-5)) send(service);
    for (let round = 0; round < 200; round++) for (const service of services.slice(-5)) send(service);
    expect(services.slice(-5).every((service) => send(service) !== undefined)).toBe(true);
  });

  test("clients that are gone are forgotten", () => {
    const shapes = new RequestShapes(createHashKey(randomBytes(12)));
    shapes.isWanted = true;
    const request = requestOf("shop", [1]);
    for (let i = 0; i < 2; i++) shapes.learn(request, 1);
    expect(shapes.match(request)).toBeDefined();
    shapes.forgetUnused();
    expect(shapes.byteLength).toBeGreaterThan(0);
    shapes.forgetUnused();
    expect([shapes.match(request), shapes.byteLength]).toEqual([undefined, 0]);
  });
});

describe("a request of a known shape", () => {
  const encoder = new MetricsEncoder();
  const normal = (bytes: Uint8Array) => normalPoints(decodeOtlp("metrics", bytes));

  test("is decoded as if it were the first, and an edit of the shape is an edit of the request", () => {
    fc.assert(
      fc.property(requestArbitrary("metrics", 2), fc.nat(), (value, seed) => {
        const decoder = new MetricsDecoder(new Identities());
        const bytes = encodeOtlp("metrics", value);
        const layouts = decoder.decode(bytes).map(({ layout }) => layout);
        const { shape } = openThrice(decoder, bytes);
        const other = withWords(bytes, seed);
        expect(decoder.open(other).shape).toBe(shape);
        if (shape === undefined) return;
        const segments = decoder.decode(other, shape);
        expect(segments.map(({ layout }) => layout)).toEqual(layouts);
        expect(normal(encoder.encode(segments).bytes)).toEqual(normal(other));
        const encodedOf = (mark: Mark) => encoder.encode(decoder.decode(markedRequest(shape, mark))).bytes;
        const marks = createMarks();
        const edit = findEdit([encodedOf(marks[0]), encodedOf(marks[1])], marks, shape, shape.items);
        if (edit === undefined) throw new Error("a word was found twice");
        expect(normal(applyShapeEdit(edit, other))).toEqual(normal(other));
      }),
      { numRuns: propertyRuns(100) },
    );
  });
});

describe("a word that a client has guessed", () => {
  const shape = { bytes: Buffer.alloc(40), words: Uint32Array.of(8, 24), items: 1 };
  const marks = createMarks();
  /** What an encoder makes of the request with a mark, which writes the words in turn. */
  const encodedWith = (mark: Mark, guess: Mark | undefined, place = 0) => {
    const marked = markedRequest(shape, mark);
    const bytes = Buffer.concat([Buffer.alloc(16), marked.subarray(24, 32), marked.subarray(8, 16)]);
    if (guess !== undefined) bytes.writeUInt32LE(guess, place + 4);
    if (guess !== undefined) bytes.writeUInt32LE(2, place);
    return bytes;
  };

  test.each<[string, Mark | undefined, boolean]>([
    ["no guess", undefined, true],
    ["a wrong guess", marks[0] ^ marks[1], true],
    ["the first mark", marks[0], false],
    ["the second mark", marks[1], false],
  ])("%s", (_title, guess, isTaken) => {
    const edit = findEdit([encodedWith(marks[0], guess), encodedWith(marks[1], guess)], marks, shape, 1);
    expect(edit !== undefined).toBe(isTaken);
    if (edit !== undefined)
      expect([[...edit.shape.words], [...edit.sources]]).toEqual([
        [16, 24],
        [24, 8],
      ]);
  });

  test("is worth nothing for the next shape", () => {
    expect(new Set(Array.from({ length: 50 }, createMarks).flat()).size).toBe(100);
  });
});
