/** Quantities as people read them. */

/** `1.1 GB`: powers of ten, as rates are told. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : threeDigits(value)} ${units[unit]}`;
}

/** `9.42 Gbit/s`. */
export function rateText(bitsPerSecond: number): string {
  if (bitsPerSecond >= 1e9) return `${threeDigits(bitsPerSecond / 1e9)} Gbit/s`;
  if (bitsPerSecond >= 1e6) return `${threeDigits(bitsPerSecond / 1e6)} Mbit/s`;
  return `${threeDigits(bitsPerSecond / 1e3)} kbit/s`;
}

/** `40.2 ms`, `85 µs`. */
export function timeText(us: number): string {
  if (us >= 1e6) return `${threeDigits(us / 1e6)} s`;
  return us >= 1000 ? `${threeDigits(us / 1000)} ms` : `${Math.round(us)} µs`;
}

/** `12 k/s`, `940 /s`. */
export function perSecondText(count: number): string {
  return count >= 1000 ? `${threeDigits(count / 1000)} k/s` : `${threeDigits(count)} /s`;
}

/** `10.0.0.1:80`, `[fd00::1]:80`. */
export const placeText = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

const threeDigits = (value: number): string => value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
