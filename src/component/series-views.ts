/** Views of many series that share resources and scopes: each of these is decoded once, and interned again only when it was changed. */

import type { Identities, ResourceEntry } from "../model/identities.ts";
import type { Resource, Scope, Series } from "../model/series.ts";

/** Used for the series of one layout: numbers may get another meaning later. */
export class SeriesViews {
  readonly #identities: Identities;
  readonly #resources = new Map<number, Resource>();
  readonly #scopes = new Map<number, Scope>();

  constructor(identities: Identities) {
    this.#identities = identities;
  }

  /** The number of what `edit` makes of a series; undefined when it drops it. Throws TableFullError when a table is full. */
  edit(id: number, edit: (series: Series) => Series | undefined): number | undefined {
    const identities = this.#identities;
    const [resource, scope, metric, attributes] = identities.series.view(id) as unknown as [
      number,
      number,
      number,
      number,
    ];
    const view: Series = {
      resource: this.#resource(resource),
      scope: this.#scope(scope),
      metric: identities.metrics.get(metric),
      attributes: identities.attributes(attributes),
    };
    const edited = edit(view);
    if (edited === undefined || edited === view) return edited === undefined ? undefined : id;
    return identities.internSeriesParts(
      edited.resource === view.resource ? resource : this.#internResource(edited.resource),
      edited.scope === view.scope ? scope : this.#internScope(edited.scope),
      edited.metric === view.metric ? metric : identities.internMetric(edited.metric),
      edited.attributes === view.attributes ? attributes : identities.internAttributes(edited.attributes),
    );
  }

  #resource(id: number): Resource {
    let resource = this.#resources.get(id);
    if (resource === undefined) {
      resource = this.#withAttributes(this.#identities.resources.get(id));
      this.#resources.set(id, resource);
    }
    return resource;
  }

  #scope(id: number): Scope {
    let scope = this.#scopes.get(id);
    if (scope === undefined) {
      scope = this.#withAttributes(this.#identities.scopes.get(id));
      this.#scopes.set(id, scope);
    }
    return scope;
  }

  #withAttributes<T extends ResourceEntry>(entry: T) {
    return { ...entry, attributes: this.#identities.attributes(entry.attributes) };
  }

  #internResource({ attributes, schemaUrl, droppedAttributesCount, entityRefs }: Resource): number {
    return this.#identities.internResource(attributes, schemaUrl, droppedAttributesCount, entityRefs);
  }

  #internScope({ name, version, attributes, schemaUrl, droppedAttributesCount }: Scope): number {
    return this.#identities.internScope(name, version, attributes, schemaUrl, droppedAttributesCount);
  }
}
