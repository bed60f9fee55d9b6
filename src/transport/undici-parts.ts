/** The two parts of undici that are used. Its entry would load fetch, WebSocket and caches too: 90 files, 50 ms and 4 MB at every start. */

import { createRequire } from "node:module";
import type * as undici from "undici";

const require = createRequire(import.meta.url);

export const Agent = require("undici/lib/dispatcher/agent.js") as typeof undici.Agent;
export type Agent = undici.Agent;

export const createConnector = require("undici/lib/core/connect.js") as typeof undici.buildConnector;
