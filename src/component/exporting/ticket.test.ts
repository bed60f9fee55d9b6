import { describe, expect, test } from "vitest";
import { ConsumeError } from "../../model/errors.ts";
import { releaseDelivered, Ticket } from "./ticket.ts";

const refused = (permanent: boolean) => new ConsumeError("CONSUME_REJECTED", "no", { permanent });

/** A ticket of three items in three pieces, and what it was settled with. */
function createTicket() {
  const settled: (Partial<ConsumeError> | undefined)[] = [];
  const ticket = new Ticket(3, 3, (_ticket, dropped) => {
    const { permanent, rejectedItems, message } = (dropped ?? {}) as Partial<ConsumeError>;
    settled.push(dropped === undefined ? undefined : { permanent, rejectedItems, message });
  });
  for (let i = 0; i < 3; i++) ticket.hold();
  ticket.release();
  return { ticket, settled };
}

describe("a ticket of three pieces", () => {
  const all = { permanent: true, rejectedItems: undefined, message: "no" };
  test.each([
    ["delivered", [undefined, undefined, undefined], undefined],
    ["one refused for good", [undefined, refused(true), undefined], { ...all, rejectedItems: 1 }],
    ["all refused for good", [refused(true), refused(true), refused(true)], all],
    ["one that may be tried again", [refused(true), refused(false), undefined], { ...all, permanent: false }],
  ])("is settled once: %s", (_title, errors, expected) => {
    const { ticket, settled } = createTicket();
    for (const error of errors) ticket.release(error, 1);
    expect(settled).toEqual([expected]);
  });
});

describe("items that a server left out", () => {
  test("are told to the sender whose data it was", () => {
    const { ticket, settled } = createTicket();
    releaseDelivered([{ ticket }, { ticket }, { ticket }], { rejectedItems: 2, message: "too old" });
    expect(settled).toEqual([{ permanent: true, rejectedItems: 2, message: "too old" }]);
  });

  test("of several senders are told to none", () => {
    const [a, b] = [createTicket(), createTicket()];
    const pieces = [a, b].flatMap(({ ticket }) => [{ ticket }, { ticket }, { ticket }]);
    releaseDelivered(pieces, { rejectedItems: 2 });
    expect([a.settled, b.settled]).toEqual([[undefined], [undefined]]);
  });
});
