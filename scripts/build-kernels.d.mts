/** Types of build-kernels.mjs. */

export function buildKernels(folder: string): void;
