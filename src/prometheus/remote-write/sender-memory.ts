/** Says what a sender holds of the memory of the process. */

import type { Identities } from "../../model/identities.ts";
import type { RemoteWriteSender } from "./sender.ts";

/** The returned function takes it away again. `isOnDisk`: the queue takes no memory to speak of. */
export function observeSenderMemory(
  identities: Identities,
  sender: Pick<RemoteWriteSender, "queuedBytes" | "encoderMemory">,
  isOnDisk = false,
): () => void {
  const removers = [
    identities.memory.add("queue", () => (isOnDisk ? 0 : sender.queuedBytes)),
    identities.memory.add("request_templates", () => sender.encoderMemory.templateBytes),
    identities.memory.add("request_buffers", () => sender.encoderMemory.bufferBytes),
  ];
  return () => {
    for (const remove of removers) remove();
  };
}
