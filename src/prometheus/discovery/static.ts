/** Targets that the configuration itself names. */

import type { Provider } from "./provider.ts";
import type { StaticSdConfig } from "./sd-config.ts";

/** Gives all groups at once and ends. */
export function createStaticProvider(config: StaticSdConfig): Provider {
  return (context) => {
    context.update(config.groups);
    return Promise.resolve();
  };
}
