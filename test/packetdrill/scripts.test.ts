/**
 * Every `.pkt` file below this folder is a test, once for each version of IP it asks for. Its first comment
 * says what it shows, a line `// Rows: TLP-2 RTO-1` which rows of `docs/conformance/` it proves.
 * `docs/packetdrill.md` is the reference of the language.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type IpVersion,
  packetdrillVersions,
  runPacketdrill,
} from '../../lib/sim/packetdrill/packetdrill.js';

const FOLDER = dirname(fileURLToPath(import.meta.url));
/** Nothing is late in virtual time but by the grain of the stack's timestamps. */
const TOLERANCE_US = 1000;

const scripts = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.pkt'))
  .sort();

/** What the script shows, in the words of its first comment. */
function subjectOf(script: string): string {
  const [comment = ''] = /^(?:\/\/.*\n)+/.exec(script) ?? [];
  const words = comment.split('\n').map((line) => line.replace(/^\/\/ ?/, ''));
  return words
    .filter((line) => line !== '' && !line.startsWith('Rows:'))
    .join(' ')
    .trim();
}

const rowsOf = (script: string): string => /^\/\/ Rows: (.*)$/m.exec(script)?.[1].trim() ?? '';

/** One that cannot be read fails as a test of its own. */
function versionsOf(script: string): readonly IpVersion[] {
  try {
    return packetdrillVersions(script);
  } catch {
    return ['ipv4'];
  }
}

for (const folder of new Set(scripts.map((file) => dirname(file)))) {
  describe(`packetdrill: ${folder}`, () => {
    for (const file of scripts.filter((script) => dirname(script) === folder)) {
      const script = readFileSync(join(FOLDER, file), 'utf8');
      const rows = rowsOf(script);
      for (const ipVersion of versionsOf(script)) {
        const title = `${file} (${ipVersion}): ${subjectOf(script)}${rows === '' ? '' : ` [${rows}]`}`;
        it(title, () => {
          runPacketdrill(script, { name: file, ipVersion, toleranceUs: TOLERANCE_US, strict: true });
        });
      }
    }
  });
}
