/** The keys of the file exporter. */

import { z } from "zod";
import { duration, keysTogether, optionalSection } from "../../codec/yaml/field-types.ts";

const count = () => z.number().int().min(0).max(0xffff_ffff);

const rotation = z
  .strictObject({
    max_megabytes: count().default(0).describe("Size in MiB at which a new file is begun. 0 means 100."),
    max_days: count().default(0).describe("Days after which old files are deleted. 0 keeps them whatever their age."),
    max_backups: count().default(100).describe("Old files that are kept; the oldest are deleted. 0 keeps all."),
    localtime: z.boolean().default(false).describe("Local time instead of UTC in the names of old files."),
  })
  .describe("Begins a new file when the file is large; its name gets the time. Continues a file that exists.");

const groupBy = z.strictObject({
  enabled: z.boolean().default(false).describe("A file per value of a resource attribute. Not built yet."),
  resource_attribute: z.string().default("fileexporter.path_segment").describe("The attribute."),
  max_open_files: count().default(100).describe("Files open at a time."),
});

const compressionParams = z.strictObject({
  level: z.number().int().min(0).max(22).default(0).describe("Level of zstd; 0 means its own default."),
});

/** The schema of the section. */
export const fileConfig = z
  .strictObject({
    path: z.string().min(1, "expected a path that is not empty").describe("The file, from the current directory on."),
    append: z.boolean().default(false).describe("Continues a file that exists instead of emptying it."),
    rotation: optionalSection(rotation).describe("Begins new files by size; absent, there is one file."),
    format: z.enum(["json", "proto"]).default("json").describe("json: OTLP JSON. proto is not built yet."),
    encoding: z.string().optional().describe("Extension that encodes the data. Not built yet."),
    compression: z
      .enum(["", "zstd"])
      .default("")
      .describe("zstd compresses each message, which then stands behind its length in 4 bytes instead of on a line."),
    compression_params: compressionParams.prefault({}).describe("How hard to compress."),
    flush_interval: duration()
      .default(1000)
      .describe("Accepted without effect: data is written before it is answered."),
    group_by: groupBy.prefault({}).describe("Files by resource attribute. Not built yet."),
    create_directory: z.boolean().default(false).describe("Creates the directory of the file when it is not there."),
    directory_permissions: z.string().default("").describe("Octal permissions of directories created. Default 0755."),
  })
  .check(
    keysTogether(
      (config, fault) => {
        if (config.append && config.rotation !== undefined) fault(["append"], "is not possible together with rotation");
      },
      (config, fault) => {
        if (config.format === "proto")
          fault(["format"], "proto is not supported yet, it comes in a later version: use json");
      },
      (config, fault) => {
        if (config.encoding !== undefined) fault(["encoding"], "is not supported yet, it comes in a later version");
      },
      (config, fault) => {
        if (config.group_by.enabled) fault(["group_by"], "is not supported yet, it comes in a later version");
      },
      (config, fault) => {
        if (config.directory_permissions !== "" && !config.create_directory) {
          fault(["directory_permissions"], "has no meaning unless create_directory is true");
        }
      },
      (config, fault) => {
        if (!/^0?[0-7]{0,3}$/.test(config.directory_permissions)) {
          fault(["directory_permissions"], 'expected octal permissions like "0755"');
        }
      },
    ),
  )
  .transform((config) => ({ ...config, directory_permissions: config.directory_permissions || "0755" }));

export type FileConfig = z.output<typeof fileConfig>;
export type RotationConfig = z.output<typeof rotation>;
