/** What is known of the client whose request brought data in, as far as it travels with a batch. */

/** A client, as processors may ask for it. Immutable. */
export interface ClientInfo {
  /** Its IP address; empty where there is none, as behind a socket file. */
  readonly address: string;
  /** The values of a header or of gRPC metadata, whatever the case of the name; none unless the receiver includes metadata. */
  metadata(name: string): readonly string[];
  /** What its credentials say, e.g. `username`; undefined without such an attribute, or without credentials. */
  auth(name: string): string | readonly string[] | undefined;
}

const none: readonly string[] = [];

/** What a client is made of; names of metadata are in lower case. */
export interface ClientParts {
  readonly address?: string | undefined;
  readonly metadata?: ReadonlyMap<string, readonly string[]> | undefined;
  readonly auth?: ((name: string) => string | readonly string[] | undefined) | undefined;
}

export function clientInfo({ address = "", metadata, auth }: ClientParts): ClientInfo {
  return {
    address,
    metadata: (name) => metadata?.get(name.toLowerCase()) ?? none,
    auth: (name) => auth?.(name),
  };
}

/**
 * The value that a `from_context` key of the Collector names: `client.address` (empty where nothing is known),
 * `auth.<attribute>`, `metadata.<name>`, or the bare name of metadata. Several values are joined by semicolons; undefined
 * where there is none.
 */
export function contextValue(client: ClientInfo | undefined, key: string): string | undefined {
  if (key === "client.address") return client?.address ?? "";
  if (client === undefined) return undefined;
  if (key.startsWith("auth.")) {
    const found = client.auth(key.slice("auth.".length));
    return found === undefined || typeof found === "string" ? found : joined(found);
  }
  return joined(client.metadata(key.startsWith("metadata.") ? key.slice("metadata.".length) : key));
}

function joined(values: readonly string[]): string | undefined {
  return values.length === 0 ? undefined : values.join(";");
}
