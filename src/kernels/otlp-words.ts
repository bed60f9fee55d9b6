/** Loops over the words of 8 bytes that change from one OTLP request to the next: times and values. */

/** Puts zeros at the places `words[from..to)` of bytes that `view` shows from the place `start` on. */
export function clearWords(view: DataView, start: number, words: Uint32Array, from: number, to: number): void {
  for (let i = from; i < to; i++) view.setFloat64((words[i] as number) - start, 0, true);
}

/** Copies word `i` from `sources[i]` to `targets[i]`, places in bytes. */
export function copyWords(source: DataView, sources: Uint32Array, target: DataView, targets: Uint32Array): void {
  for (let i = 0; i < sources.length; i++) {
    const from = sources[i] as number;
    const to = targets[i] as number;
    target.setInt32(to, source.getInt32(from, true), true);
    target.setInt32(to + 4, source.getInt32(from + 4, true), true);
  }
}

/** Reads the words at `places` into a column, two elements each; where a place is 0 the column stays as it is. */
export function gatherWords(source: DataView, places: Uint32Array, column: Int32Array): void {
  for (let i = 0; i < places.length; i++) {
    const at = places[i] as number;
    if (at === 0) continue;
    column[i * 2] = source.getInt32(at, true);
    column[i * 2 + 1] = source.getInt32(at + 4, true);
  }
}
