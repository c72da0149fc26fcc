/** Scenarios: played on the host's sockets to learn what must happen, then on those of stacks. */
import { expect } from 'chai';
import { NODE_MAJOR } from '../../../lib/net/node-version.js';
import { hostWorld, type World, worldsOfStacks } from './worlds.js';

/** What is compared: plain data. */
export type Outcome = unknown;
type ScenarioIn<W> = (world: W) => Promise<Outcome>;
export type Scenario = ScenarioIn<World>;

/** A world to be made when it is needed, and how it is called. */
interface Maker<W> {
  readonly name: string;
  readonly make: () => W | Promise<W>;
}

async function play<W extends { close(): unknown }>(scenario: ScenarioIn<W>, world: W): Promise<Outcome> {
  try {
    return await scenario(world);
  } finally {
    await world.close();
  }
}

/** Two ways to hold worlds of stacks to Node. */
export function scenariosIn<W extends { close(): unknown }>(host: Maker<W>, stacks: readonly Maker<W>[]) {
  return {
    /**
     * What a later version of Node does, `expected`, done by stacks whatever Node runs them; and by the host where it
     * is new enough.
     */
    asLaterNode(
      title: string,
      { since, expected }: { since: number; expected: Outcome },
      scenario: ScenarioIn<W>,
    ): void {
      for (const { name, make } of [...(NODE_MAJOR >= since ? [host] : []), ...stacks]) {
        it(`${title}, ${name}`, async () => {
          expect(await play(scenario, await make())).to.deep.equal(expected);
        });
      }
    },

    /** One test per world of stacks, each against what the host does. */
    sameAsNode(title: string, scenario: ScenarioIn<W>): void {
      describe(title, () => {
        let expected: Promise<Outcome> | undefined;
        for (const { name, make } of stacks) {
          it(`as ${host.name}, ${name}`, async () => {
            expected ??= Promise.resolve(host.make()).then((world) => play(scenario, world));
            const wanted = await expected;
            expect(await play(scenario, await make())).to.deep.equal(wanted);
          });
        }
      });
    },
  };
}

export const { asLaterNode, sameAsNode } = scenariosIn<World>(
  { name: 'node:net', make: hostWorld },
  worldsOfStacks,
);
