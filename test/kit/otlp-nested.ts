/** Requests of logs with values in values, so deep that a parser that calls itself falls. */

export function nestedProtobuf(depth: number): Buffer {
  const parts: Buffer[] = [];
  let size = 0;
  const wrap = (tag: number) => {
    const head = [tag];
    let rest = size;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) head.push((rest % 0x80) | 0x80);
    head.push(rest);
    parts.push(Buffer.from(head));
    size += head.length;
  };
  for (let i = 0; i < depth; i++) for (const tag of [0x0a, 0x2a]) wrap(tag);
  for (const tag of [0x2a, 0x12, 0x12, 0x0a]) wrap(tag);
  return Buffer.concat(parts.reverse());
}

export function nestedJson(depth: number): string {
  const open = '{"arrayValue":{"values":['.repeat(depth);
  const value = `${open}${"]}}".repeat(depth)}`;
  return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":${value}}]}]}]}`;
}
