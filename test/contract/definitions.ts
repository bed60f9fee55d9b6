/** The components that the contract suite runs over. */

import type { AnyDefinition } from "../../src/component/define.ts";
import forward from "../../src/connectors/forward/forward.ts";
import debug from "../../src/exporters/debug/debug.ts";
import file from "../../src/exporters/file/file.ts";
import healthCheck from "../../src/extensions/health_check/health_check.ts";
import attributes from "../../src/processors/attributes/attributes.ts";
import batch from "../../src/processors/batch/batch.ts";
import memoryLimiter from "../../src/processors/memory_limiter/memory_limiter.ts";
import resource from "../../src/processors/resource/resource.ts";

/** Every registered component. */
export async function allDefinitions(): Promise<AnyDefinition[]> {
  return [forward, debug, file, healthCheck, attributes, batch, memoryLimiter, resource];
}
