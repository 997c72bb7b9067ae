import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem } from 'node:os';
import { machineMemoryBytes } from '../local/machine-memory.ts';
import { sizeText } from '../local/memory-estimate.ts';
import type { Check } from './check.ts';

const TESTED_NODE_MAJOR = 24;
/** Instructions that the kernels are fast with, the best first: their names in /proc/cpuinfo. */
const FEATURES = ['amx_int8', 'avx512_vnni', 'avx_vnni', 'avx512f', 'avx2', 'asimddp', 'asimd'] as const;

export function checkMachine(): Check[] {
  return [node(), processor(), memory()];
}

function node(): Check {
  const { node: version } = process.versions;
  const tested = Number(version.split('.')[0]) === TESTED_NODE_MAJOR;
  return {
    section: 'machine',
    name: 'Node',
    status: tested ? 'ok' : 'warning',
    detail: `${version}${tested ? '' : `; it is tested with ${TESTED_NODE_MAJOR}`}`,
    facts: { version },
  };
}

function processor(): Check {
  const cores = cpus().length;
  const usable = availableParallelism();
  const flags = cpuFlags();
  const features = FEATURES.filter((feature) => flags?.has(feature));
  const slow = flags !== undefined && features.length === 0;
  const quota = cores === usable ? '' : `, of which this process may use ${usable}`;
  return {
    section: 'machine',
    name: 'CPU',
    status: slow ? 'warning' : 'ok',
    detail: `${cores} cores${quota}; ${flags === undefined ? process.arch : features.join(', ') || 'no AVX2'}`,
    ...(slow ? { fix: 'Local models will be slow here; put them on a machine with AVX2 or better.' } : {}),
    facts: { model: cpus()[0]?.model, cores, usable, features },
  };
}

/** What instructions the processor has, by their names in /proc/cpuinfo; undefined: there is none. */
export function cpuFlags(): ReadonlySet<string> | undefined {
  try {
    const line = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
    return line === undefined ? undefined : new Set(line.split(' '));
  } catch {
    return undefined;
  }
}

function memory(): Check {
  const totalBytes = machineMemoryBytes();
  const availableBytes = process.availableMemory?.() ?? freemem();
  return {
    section: 'machine',
    name: 'memory',
    status: 'ok',
    detail: `${sizeText(totalBytes)}, ${sizeText(availableBytes)} available`,
    facts: { totalBytes, availableBytes },
  };
}
