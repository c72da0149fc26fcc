/**
 * `node --import tunstack/register app.js`: the whole process speaks TCP over a private stack, packages that
 * offer no hook included. The environment says which stack (`StackEnvironment`);
 * `docs/register.md` says what is replaced, and what cannot be.
 * @module
 */
import { replaceNet } from './replace-net.js';
import { stackFromEnvironment } from './stack-from-environment.js';

replaceNet(stackFromEnvironment(process.env));

export type { StackEnvironment } from './stack-from-environment.js';
