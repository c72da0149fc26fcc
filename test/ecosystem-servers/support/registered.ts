/** Processes started with `tunstack/register`, each with a stack and a TUN of its own in a bed's namespace. */

/** Addresses of the stack that such a process has, and of the kernel's side of its TUN. */
export const REGISTERED = { 4: '10.8.0.2', 6: 'fd08::2' } as const;

const REGISTER = new URL('../../../lib/register/register.ts', import.meta.url).href;

/** Flags and environment of Node for a process over such a stack, or over the kernel. */
export const processOver = (
  over: 'stack' | 'kernel',
): { flags: string[]; env: Readonly<Record<string, string>> } =>
  over === 'kernel'
    ? { flags: ['--import=tsx'], env: {} }
    : {
        flags: ['--import=tsx', `--import=${REGISTER}`],
        env: {
          TUNSTACK_TUN: 'tun1',
          TUNSTACK_ADDRESSES: '10.8.0.2/24,fd08::2/64',
          TUNSTACK_HOST_ADDRESSES: '10.8.0.1/24,fd08::1/64',
        },
      };
