/** Headings of docs/differences.md that rules of the run oracle stand for, each with why the difference stays. */

/** Rows are those of "Seen when the real ones were run" in the specification of the receiver. */
export const headings = {
  // Point 8 of what the first version has to do: of duplicate samples the first is kept; with two times row 9.
  first: "Of samples with the same labels and time the first is kept",
  // Row 2.
  stale: "Staleness markers of histograms",
  // Row 3.
  externalExemplars: "Exemplars beside external labels",
  // Row 10.
  instanceUrl: "An instance that is a URL",
  // Row 4.
  emptyTexts: "Empty separator and replacement of relabel rules",
  // The one improvement that was asked for.
  rename: "Type and metadata follow a rename",
  /** What observations leave out: each program names its own version. */
  scopeVersion: "The version of the receiver's scope",
} as const;
