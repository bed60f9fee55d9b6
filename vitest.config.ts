import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          // Tests run from the source: the compiled kernels have to be those of the sources.
          globalSetup: "scripts/build-kernels.mjs",
          include: [
            "src/**/*.test.ts",
            "test/{architecture,contract,golden,conformance}/**/*.test.ts",
            "test/*.test.ts",
          ],
          // The command's own tests start a process per case: they belong to the end-to-end tests.
          exclude: ["src/cli/**"],
          // Far more than any takes: on a busy machine, and with all random cases, some take long.
          testTimeout: 60_000,
          expect: { poll: { timeout: 20_000 } },
          // A process for each file, and modules that Vite has rewritten, cost a third of all time: here files share few processes,
          // and Node loads the modules. So no test may leave anything behind, and `vi.mock` cannot be had.
          isolate: false,
          experimental: { viteModuleRunner: false, nodeLoader: false },
          restoreMocks: true,
          unstubGlobals: true,
          unstubEnvs: true,
          // Some tests wait for a second: meanwhile a core does something else.
          maxWorkers: Math.ceil(availableParallelism() * 1.5),
        },
      },
      {
        test: {
          name: "e2e",
          globalSetup: "scripts/build-kernels.mjs",
          include: ["test/e2e/**/*.test.ts", "src/cli/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
        },
      },
    ],
  },
});
