/** Scenarios: played on the host's sockets to learn what must happen, then on those of stacks. */
import { expect } from 'chai';
import { NODE_MAJOR } from '../../../lib/net/node-version.js';
import { hostWorld, loopbackWorld, pipeWorld, type World } from './worlds.js';

/** What is compared: plain data. */
export type Outcome = unknown;
export type Scenario = (world: World) => Promise<Outcome>;

async function play(scenario: Scenario, world: World): Promise<Outcome> {
  try {
    return await scenario(world);
  } finally {
    world.close();
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
  const hosts = NODE_MAJOR >= since ? [hostWorld] : [];
  for (const makeWorld of [...hosts, loopbackWorld, pipeWorld]) {
    const world = makeWorld();
    it(`${title}, ${world.name}`, async () => {
      expect(await play(scenario, world)).to.deep.equal(expected);
    });
  }
}

/** One test per world of stacks, each against what the host does. */
export function sameAsNode(title: string, scenario: Scenario): void {
  describe(title, () => {
    let expected: Promise<Outcome> | undefined;
    for (const makeWorld of [loopbackWorld, pipeWorld]) {
      const world = makeWorld();
      it(`as node:net, ${world.name}`, async () => {
        expected ??= play(scenario, hostWorld());
        const wanted = await expected;
        expect(await play(scenario, world)).to.deep.equal(wanted);
      });
    }
  });
}
