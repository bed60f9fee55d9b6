/** Listens once to a signal on behalf of many short tasks, since a listener for each costs more than the task. */

import { Bag } from "../model/bag.ts";

export interface Abortable {
  onAbort(): void;
}

/** Keeps a listener on every signal it has seen until it is closed. */
export class AbortWatch {
  readonly #watched = new Map<AbortSignal, { readonly tasks: Bag<Abortable>; readonly listener: () => void }>();

  /** The task hears of the signal until it is deleted. */
  add(signal: AbortSignal, task: Abortable): void {
    let watched = this.#watched.get(signal);
    if (watched === undefined) {
      const tasks = new Bag<Abortable>();
      const listener = () => {
        this.#watched.delete(signal);
        for (const each of tasks) each.onAbort();
      };
      watched = { tasks, listener };
      this.#watched.set(signal, watched);
      signal.addEventListener("abort", listener, { once: true });
    }
    watched.tasks.add(task);
  }

  delete(signal: AbortSignal, task: Abortable): void {
    this.#watched.get(signal)?.tasks.delete(task);
  }

  /** Takes the listeners back; tasks that are still there hear nothing more. */
  close(): void {
    for (const [signal, { listener }] of this.#watched) signal.removeEventListener("abort", listener);
    this.#watched.clear();
  }
}
