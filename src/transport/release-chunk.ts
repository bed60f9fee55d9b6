/** Gives memory that a socket read into back at once, not when V8 next collects. */

/**
 * The chunk of a `data` event is not used any more, by anybody: its memory is freed, and it has no bytes after that. V8 collects the whole heap
 * for every 64 MB of such buffers, at 20 MB a second once a second, which took a third of the CPU time.
 */
export function releaseChunk(chunk: Buffer): void {
  const { buffer } = chunk;
  // What shares its memory with others is not the chunk's to give.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === chunk.length && chunk.length > 0) buffer.transfer(0);
}
