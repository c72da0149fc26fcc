/** The goodput tables as they are kept: every figure in JSON, and the tables for readers. */
import { readFileSync } from 'node:fs';
import { type Cell, type CellResult, CONDITIONS, cellName, VARIANTS, variantNames } from './cell.js';
import type { FairnessCase, FairnessResult } from './fairness.js';

export const SNAPSHOT = 'docs/results/goodput.json';
export const TABLES = 'docs/results/goodput.md';

export interface Snapshot {
  /** Date, commit and machine. */
  readonly made: string;
  readonly cells: Readonly<Record<string, CellResult>>;
  readonly fairness: Readonly<Record<string, FairnessResult>>;
}

/** @throws Error when there is none */
export const readSnapshot = (): Snapshot => JSON.parse(readFileSync(SNAPSHOT, 'utf8')) as Snapshot;

const rounded = (value: number): number => Number(value.toPrecision(5));

export function roundedCell(result: CellResult): CellResult {
  const entries = Object.entries(result).map(([key, value]) => [key, rounded(value as number)]);
  return Object.fromEntries(entries) as CellResult;
}

export const roundedFairness = ({ goodputsMbps, jain }: FairnessResult): FairnessResult => ({
  goodputsMbps: goodputsMbps.map(rounded),
  jain: rounded(jain),
});

/** One line for each cell, so that a change is read as a change of lines. */
export function snapshotText({ made, cells, fairness }: Snapshot): string {
  const lines = (record: object): string =>
    Object.entries(record)
      .map(([name, value]) => `    ${JSON.stringify(name)}: ${JSON.stringify(value)}`)
      .join(',\n');
  return `{\n  "made": ${JSON.stringify(made)},\n  "cells": {\n${lines(cells)}\n  },\n  "fairness": {\n${lines(fairness)}\n  }\n}\n`;
}

const figure = (mbps: number): string => (mbps >= 100 ? mbps.toFixed(0) : mbps.toPrecision(3));

/** Tables for readers: one for each congestion control, rate and round-trip time. */
export function* tables(snapshot: Snapshot, controls: readonly string[]): Generator<string> {
  for (const control of controls) {
    yield `\n## ${control}\n`;
    for (const rateMbps of CONDITIONS.rateMbps) {
      for (const rttMs of CONDITIONS.rttMs) yield* table(snapshot, { control, rateMbps, rttMs });
    }
  }
}

function* table({ cells }: Snapshot, path: Pick<Cell, 'control' | 'rateMbps' | 'rttMs'>): Generator<string> {
  const heads = VARIANTS.map((variant) => variantNames(variant).join(' + ') || 'plain');
  yield `\n${path.rateMbps} Mbit/s, ${path.rttMs} ms\n`;
  yield `| loss | formula | ${heads.join(' | ')} | formula with bursts | sent again, % | RTT, ms |`;
  yield `|---:|---:|${heads.map(() => '---:').join('|')}|---:|---:|---:|`;
  for (const lossPercent of CONDITIONS.lossPercent) {
    const results = VARIANTS.map((variant) => cells[cellName({ ...path, lossPercent, ...variant })]);
    const plain = results[0];
    const bursts = results[VARIANTS.findIndex(({ burst }) => burst)];
    if (results.some((result) => result === undefined)) continue;
    yield `| ${[
      `${lossPercent} %`,
      figure(plain.theoryMbps),
      ...results.map(({ goodputMbps }) => figure(goodputMbps)),
      figure(bursts.theoryMbps),
      plain.repeatedPercent.toFixed(2),
      plain.srttMs.toFixed(1),
    ].join(' | ')} |`;
  }
}

export function* fairnessTable(snapshot: Snapshot, cases: readonly FairnessCase[]): Generator<string> {
  yield '\n## Fairness\n';
  yield '| flows | Jain’s index | goodputs, Mbit/s |';
  yield '|---|---:|---|';
  for (const { name } of cases) {
    const result = snapshot.fairness[name];
    if (result === undefined) continue;
    yield `| ${name} | ${result.jain.toFixed(3)} | ${result.goodputsMbps.map(figure).join(', ')} |`;
  }
}
