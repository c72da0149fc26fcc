/** The congestion controls that are measured: those of the stack's own that are there. */
import { isCongestionControl } from '../../lib/tcp/congestion/registry.js';

export const CONTROLS: readonly string[] = ['reno', 'cubic', 'bbr'].filter(isCongestionControl);
