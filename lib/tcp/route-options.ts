/** What a route says to TCP, over what the options say (ip-route(8): advmss, window, initcwnd …). */
import type { SegmentPath } from './carrier.js';
import { isCongestionControl } from './congestion/registry.js';
import type { TcpOptions } from './options.js';

/** Attributes of a route that concern TCP; 0 and '' mean that it says nothing. */
export interface RouteAttributes {
  /** MSS to announce, bytes. */
  readonly advmss: number;
  /** Largest window to offer, bytes. */
  readonly window: number;
  /** Initial windows, segments. */
  readonly initcwnd: number;
  readonly initrwnd: number;
  readonly rtoMinUs: number;
  readonly congestionControl: string;
  readonly quickAck: number;
}

/** The options of a connection over `path`; the same object where the route has nothing to say. */
export function routeOptions(options: TcpOptions, path: SegmentPath): TcpOptions {
  const { advmss, window, initcwnd, initrwnd, rtoMinUs, congestionControl, quickAck } = path;
  if (!(window || initcwnd || initrwnd || rtoMinUs || quickAck) && congestionControl === '') {
    return options;
  }
  const mss = advmss > 0 ? advmss : path.mtu - path.headerBytes - 20;
  return Object.freeze({
    ...options,
    windowClampBytes: window > 0 ? window : options.windowClampBytes,
    initialWindow: initcwnd > 0 ? initcwnd : options.initialWindow,
    receiveBufferBytes: initrwnd > 0 ? initrwnd * mss : options.receiveBufferBytes,
    rtoMinMs: rtoMinUs > 0 ? rtoMinUs / 1000 : options.rtoMinMs,
    // A route may name one that this process does not have.
    congestionControl: isCongestionControl(congestionControl) ? congestionControl : options.congestionControl,
    quickAck: quickAck > 0 || options.quickAck,
  });
}

/** Puts what the options say of IP's header into the path, which belongs to the connection alone. */
export function applyIpOptions(options: TcpOptions, path: SegmentPath): void {
  if (options.hopLimit > 0) path.hopLimit = options.hopLimit;
  if (options.trafficClass > 0) path.trafficClass = options.trafficClass & 0xfc;
}
