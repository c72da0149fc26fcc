/** A `Recovery` by itself, for what scenarios would take too long for. */
import type { Seq } from '../../lib/base/seq.js';
import { TcpStats } from '../../lib/base/stats.js';
import { Recovery, type RecoveryOptions } from '../../lib/tcp/recovery/recovery.js';

/** One of a new connection, with all that it can do but for `options`; its `sack` and `mssBytes` are not set. */
export const recoveryAt = (iss: Seq, options: Partial<RecoveryOptions> = {}): Recovery =>
  new Recovery(iss, {
    sack: true,
    rack: true,
    tailLossProbe: true,
    forwardRto: true,
    rtoMinUs: 200_000,
    rtoMaxUs: 120e6,
    initialRtoUs: 1e6,
    stats: new TcpStats(),
    ...options,
  });
