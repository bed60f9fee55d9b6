/** The places that plain debug output goes to: standard output, standard error, files. */

import { type FileHandle, open } from "node:fs/promises";
import { ConfigError, ConsumeError, toError } from "../../model/errors.ts";

interface Output {
  write(text: string): Promise<void>;
  close(): Promise<void>;
}

export class Outputs {
  readonly #id: string;
  readonly #paths: readonly string[];
  #outputs: Output[] = [];

  /** `id` is the exporter's, for error messages. */
  constructor(id: string, paths: readonly string[]) {
    this.#id = id;
    this.#paths = paths;
  }

  /** Opens everything. Rejects with ConfigError when a file cannot be opened. */
  async open(): Promise<void> {
    if (this.#outputs.length > 0) return;
    for (const [index, path] of this.#paths.entries()) {
      try {
        this.#outputs.push(await openOutput(path));
      } catch (caught) {
        await this.close();
        const message = `cannot open ${JSON.stringify(path)} for writing: ${toError(caught).message}`;
        throw new ConfigError([{ path: `exporters::${this.#id}::output_paths[${index}]`, message }], { cause: caught });
      }
    }
  }

  /** Writes to all outputs. Rejects with a retryable ConsumeError when one of them fails. */
  async write(text: string): Promise<void> {
    const results = await Promise.allSettled(this.#outputs.map((output) => output.write(text)));
    for (const [index, result] of results.entries()) {
      if (result.status === "fulfilled") continue;
      const where = `exporters::${this.#id}::output_paths[${index}]`;
      const message = `${where}: cannot write to ${this.#paths[index]}: ${toError(result.reason).message}`;
      throw new ConsumeError("CONSUME_REFUSED", message, { permanent: false, cause: result.reason });
    }
  }

  async close(): Promise<void> {
    const outputs = this.#outputs;
    this.#outputs = [];
    await Promise.all(outputs.map((output) => output.close()));
  }
}

async function openOutput(path: string): Promise<Output> {
  if (path === "stdout") return streamOutput(process.stdout);
  if (path === "stderr") return streamOutput(process.stderr);
  return fileOutput(await open(path, "a"));
}

function streamOutput(stream: NodeJS.WriteStream): Output {
  // A reader that goes away is an error event, which would end the process; the write's callback tells it as well.
  const ignore = () => {};
  stream.on("error", ignore);
  return {
    write: (text) =>
      new Promise((resolve, reject) => {
        stream.write(text, (error) => (error ? reject(error) : resolve()));
      }),
    close: async () => void stream.off("error", ignore),
  };
}

function fileOutput(file: FileHandle): Output {
  let last: Promise<void> = Promise.resolve();
  return {
    write(text) {
      const written = last.then(() => file.appendFile(text));
      last = written.catch(() => {});
      return written;
    },
    close: async () => {
      await last;
      await file.close();
    },
  };
}
