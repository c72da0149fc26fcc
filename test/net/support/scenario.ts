/** Scenarios: played on the host's sockets to learn what must happen, then on those of stacks. */
import { expect } from 'chai';
import { NODE_MAJOR } from '../../../lib/net/node-version.js';
import { hostWorld, type World, worldsOfStacks } from './worlds.js';

/** What is compared: plain data. */
export type Outcome = unknown;
export type Scenario = (world: World) => Promise<Outcome>;

async function play(scenario: Scenario, world: World): Promise<Outcome> {
  try {
    return await scenario(world);
  } finally {
    await world.close();
  }
}

/**
 * What a later version of Node does, `expected`, done by stacks whatever Node runs them; and by the host where it is
 * new enough.
 */
export function asLaterNode(
  title: string,
  { since, expected }: { since: number; expected: Outcome },
  scenario: Scenario,
): void {
  const hosts = NODE_MAJOR >= since ? [{ name: 'node:net', make: hostWorld }] : [];
  for (const { name, make } of [...hosts, ...worldsOfStacks]) {
    it(`${title}, ${name}`, async () => {
      expect(await play(scenario, await make())).to.deep.equal(expected);
    });
  }
}

/** One test per world of stacks, each against what the host does. */
export function sameAsNode(title: string, scenario: Scenario): void {
  describe(title, () => {
    let expected: Promise<Outcome> | undefined;
    for (const { name, make } of worldsOfStacks) {
      it(`as node:net, ${name}`, async () => {
        expected ??= play(scenario, hostWorld());
        const wanted = await expected;
        expect(await play(scenario, await make())).to.deep.equal(wanted);
      });
    }
  });
}
