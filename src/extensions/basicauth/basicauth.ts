/** User names and passwords: checks those of callers, or gives them to clients. */

import { z } from "zod";
import { optionalSection, secret } from "../../codec/yaml/field-types.ts";
import type { ClientAuthenticator } from "../../component/client-auth.ts";
import { defineExtension, type Lifecycle } from "../../component/define.ts";
import { sectionIssue } from "../../component/section-issues.ts";
import type { RequestHeaders, ServerAuthenticator } from "../../component/server-auth.ts";
import type { Logger } from "../../component/telemetry.ts";
import { ConfigError, toError } from "../../model/errors.ts";
import { type SecretReader, secretReader } from "../../transport/secret-file.ts";
import { WatchedFile } from "../../transport/watched-file.ts";
import { type Htpasswd, PasswordChecker, parseHtpasswd } from "./htpasswd.ts";

const htpasswd = z.strictObject({
  file: z.string().default("").describe("File with lines of user:hash, read again when it changes."),
  inline: secret().optional().describe("The same lines in the configuration; they win over those of the file."),
});

const clientAuth = z.strictObject({
  username: z.string().default("").describe("User name to send."),
  username_file: z.string().default("").describe("File with the user name, which wins; read again when it changes."),
  password: secret().optional().describe("Password to send."),
  password_file: z.string().default("").describe("File with the password, which wins; read again when it changes."),
  aws_secrets_manager: z.unknown().optional().describe("Credentials from AWS. Not built yet: an error."),
});

const config = z.strictObject({
  htpasswd: optionalSection(htpasswd).describe("Users that may call a server: for the auth key of receivers."),
  client_auth: optionalSection(clientAuth).describe("Credentials of a client: for the auth key of exporters."),
});

type BasicAuthConfig = z.output<typeof config>;

export default defineExtension<BasicAuthConfig>({
  type: "basicauth",
  aliases: ["basic_auth"],
  description: "Checks user names and passwords of callers, or gives them to clients.",
  stability: "beta",
  config,

  complete(section, context) {
    const { htpasswd: server, client_auth: client } = section;
    const issue = (path: readonly string[], message: string) => context.issue(sectionIssue(context, path, message));
    if (server !== undefined && client !== undefined) issue([], "only one of htpasswd and client_auth may be given");
    if (server === undefined && client === undefined) issue([], "required: htpasswd or client_auth");
    if (server !== undefined && server.file === "" && server.inline === undefined) {
      issue(["htpasswd"], "required: file or inline");
    }
    if (client?.aws_secrets_manager != null) {
      issue(["client_auth", "aws_secrets_manager"], "is not supported yet, it comes in a later version");
    }
    if (client?.username.includes(":")) issue(["client_auth", "username"], "expected a name without a colon");
    return section;
  },

  create({ id, config: section, log }) {
    if (section.htpasswd !== undefined) return new BasicServerAuth(id, section.htpasswd, log);
    return new BasicClientAuth(id, section.client_auth);
  },
});

const recheckMs = 1000;

class BasicServerAuth implements Lifecycle, ServerAuthenticator {
  readonly #id: string;
  readonly #file: WatchedFile | undefined;
  readonly #inline: string;
  readonly #log: Logger;
  readonly #checker = new PasswordChecker();
  #users: Htpasswd = new Map();
  #version = -1;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #isUnreadable = false;

  constructor(id: string, section: NonNullable<BasicAuthConfig["htpasswd"]>, log: Logger) {
    this.#id = id;
    this.#file = section.file === "" ? undefined : new WatchedFile("htpasswd.file", section.file);
    this.#inline = section.inline?.reveal() ?? "";
    this.#log = log;
  }

  async start(): Promise<void> {
    try {
      this.#load(this.#file?.read() ?? "");
    } catch (caught) {
      const message = toError(caught).message.replace(/^htpasswd\.file: /, "");
      throw new ConfigError([{ path: `extensions::${this.#id}::htpasswd::file`, message }], { cause: caught });
    }
  }

  authenticate(headers: RequestHeaders): string | undefined | Promise<string | undefined> {
    if (authorizationOf(headers) === undefined) return "no basic auth provided";
    const encoded = encodedPair(headers);
    if (encoded === undefined) return "invalid authorization scheme or format";
    const pair = Buffer.from(encoded, "base64").toString("utf8");
    const colon = pair.indexOf(":");
    if (colon < 0) return "invalid authorization format";
    this.#refresh();
    const answer = this.#checker.check(this.#users, pair.slice(0, colon), pair.slice(colon + 1));
    return answer instanceof Promise ? answer.then(reasonFor) : reasonFor(answer);
  }

  /** `username`, and `raw`: what stands behind the scheme, which holds the password. */
  callerAttribute(headers: RequestHeaders, name: string): string | undefined {
    const encoded = encodedPair(headers);
    if (encoded === undefined || name === "raw") return encoded;
    if (name !== "username") return undefined;
    return Buffer.from(encoded, "base64").toString("utf8").split(":", 1)[0];
  }

  /** Keeps the users it has while the file cannot be read. */
  #refresh(): void {
    const nowMs = performance.now();
    if (this.#file === undefined || nowMs - this.#checkedMs < recheckMs) return;
    this.#checkedMs = nowMs;
    try {
      const text = this.#file.read();
      if (this.#file.version !== this.#version) this.#load(text);
      this.#isUnreadable = false;
    } catch (caught) {
      if (!this.#isUnreadable) this.#log.warn("Cannot read users again", { error: toError(caught).message });
      this.#isUnreadable = true;
    }
  }

  #load(text: string): void {
    this.#version = this.#file?.version ?? 0;
    const bad: number[] = [];
    this.#users = parseHtpasswd([text, this.#inline].filter(Boolean).join("\n"), (line) => void bad.push(line));
    if (bad.length > 0) this.#log.warn("Lines of htpasswd are no entries", { lines: bad.slice(0, 10).join(", ") });
  }
}

function authorizationOf(headers: RequestHeaders): string | undefined {
  const header = headers["authorization"];
  return typeof header === "string" ? header : header?.[0];
}

/** What stands behind the scheme, in base64. */
function encodedPair(headers: RequestHeaders): string | undefined {
  return /^basic ([A-Za-z0-9+/]+={0,2})$/i.exec(authorizationOf(headers) ?? "")?.[1];
}

function reasonFor(answer: boolean | "busy"): string | undefined {
  if (answer === true) return undefined;
  return answer === "busy" ? "too many attempts at once" : "invalid credentials";
}

class BasicClientAuth implements Lifecycle, ClientAuthenticator {
  readonly #username: SecretReader | undefined;
  readonly #password: SecretReader | undefined;
  readonly #id: string;

  constructor(id: string, section: BasicAuthConfig["client_auth"]) {
    this.#id = id;
    this.#username = reader(section?.username ?? "", section?.username_file ?? "", "client_auth.username_file");
    this.#password = reader(
      section?.password?.reveal() ?? "",
      section?.password_file ?? "",
      "client_auth.password_file",
    );
  }

  async start(): Promise<void> {
    try {
      this.clientHeaders();
    } catch (caught) {
      // The message begins with the key of the file.
      const [, key = "", message = ""] = /^(?:client_auth\.(\w+): )?(.*)$/s.exec(toError(caught).message) ?? [];
      const path = ["extensions", this.#id, "client_auth", key].filter((part) => part !== "").join("::");
      throw new ConfigError([{ path, message }], { cause: caught });
    }
  }

  clientHeaders(): Readonly<Record<string, string>> {
    const [username, password] = [this.#username?.() ?? "", this.#password?.() ?? ""];
    if (username.includes(":")) throw new Error("the user name has a colon");
    return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}` };
  }
}

/** The file wins. */
function reader(text: string, file: string, key: string): SecretReader | undefined {
  return secretReader(file === "" ? text : undefined, file, key);
}
