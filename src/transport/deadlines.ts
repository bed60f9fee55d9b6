/** Time limits of many short tasks with one timer, which is set for the earliest and left alone when tasks end in time. */

export interface Timed {
  onDeadline(): void;
}

/** Its timer does not keep the process alive: the sockets of the tasks do. */
export class Deadlines {
  // No map, for the reason that `Bag` has.
  readonly #tasks: Timed[] = [];
  /** When each of them is called, by performance.now(). */
  readonly #times: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  #afterReading: NodeJS.Immediate | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;

  /** Calls the task this many milliseconds from now, unless it is deleted before. One that is there must not be added. */
  add(task: Timed, timeoutMs: number): void {
    const atMs = performance.now() + timeoutMs;
    this.#tasks.push(task);
    this.#times.push(atMs);
    if (atMs < this.#timerAtMs) this.#setTimer(atMs, timeoutMs);
  }

  delete(task: Timed): void {
    const at = this.#tasks.lastIndexOf(task);
    if (at < 0) return;
    const lastTask = this.#tasks.pop() as Timed;
    const lastTime = this.#times.pop() as number;
    if (at === this.#tasks.length) return;
    this.#tasks[at] = lastTask;
    this.#times[at] = lastTime;
  }

  /** No task is called any more. */
  close(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#afterReading);
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    this.#tasks.length = 0;
    this.#times.length = 0;
  }

  #setTimer(atMs: number, waitMs: number): void {
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    this.#timer = setTimeout(() => this.#onTimer(), Math.min(Math.ceil(Math.max(0, waitMs)), longestTimerMs)).unref();
  }

  #onTimer(): void {
    if (performance.now() - this.#timerAtMs <= heldUpMs) this.#fire();
    // The process was held up: what has arrived meanwhile is read first, since it came in time for all that is known.
    else this.#afterReading = setImmediate(() => this.#fire());
  }

  #fire(): void {
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const due = this.#tasks.filter((_, i) => (this.#times[i] as number) <= now);
    for (const task of due) this.delete(task);
    for (const atMs of this.#times) next = Math.min(next, atMs);
    for (const task of due) task.onDeadline();
    // A task that was called may have led to another with a nearer limit.
    if (next < this.#timerAtMs) this.#setTimer(next, next - now);
  }
}

const longestTimerMs = 0x7fff_ffff;
/** A timer this late tells that the process had no time, not only little. */
const heldUpMs = 20;
