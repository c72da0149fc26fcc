/** What a connection keeps of ECN where it was agreed on, one way or the other. */
import type { AccurateEcn } from './accurate-ecn.js';
import type { ClassicEcn } from './classic-ecn.js';

export type Ecn = ClassicEcn | AccurateEcn;
