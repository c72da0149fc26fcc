/** Names for the host, where the stack of a command reaches it through a gateway. */

/** They stand for the host's 127.0.0.1 and ::1. */
export const HOST_ADDRESSES = ['10.0.2.2', 'fd00::2'] as const;

/** What people call the host itself, as an address: the stack's own loopback leads nowhere. */
export function throughDoor(host: string): string {
  const name = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (name === 'localhost' || /^127(\.\d+){3}$/.test(name)) return HOST_ADDRESSES[0];
  return name === '::1' ? HOST_ADDRESSES[1] : host;
}
