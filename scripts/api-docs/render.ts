/** Makes the page: chapters by topic, a section per name, a row per member. */
import {
  type Comment,
  type CommentPart,
  type Declaration,
  Kind,
  type Project,
  type Signature,
} from './model.js';
import { DEFAULTS, TOPICS, type Topic, WORDS } from './topics.js';
import { callText, nameText, typeText } from './type-text.js';

/** As many members of one type as make it worth saying the type once. */
const MANY = 6;
/** Length of a line of code. */
const MAX_LINE = 100;

interface Row {
  /** What one would write; several for overloads. */
  readonly code: readonly string[];
  readonly text: string;
  readonly fallback?: string;
}

/** What the rows of a section have in common. */
interface Owner {
  readonly name: string;
  readonly isClass: boolean;
}

/** @throws Error for a name that belongs to no topic, and for what has no comment */
export function renderReference(project: Project, head: string): string {
  const page = new Page(project);
  const text = `${head}\n${page.contents()}\n${page.chapters()}`;
  if (page.undocumented.length > 0) throw new Error(`not documented: ${page.undocumented.join(', ')}`);
  return text;
}

const isType = ({ kind }: Declaration): boolean => kind === Kind.TypeAlias;

class Page {
  readonly #byTopic = new Map<Topic, Declaration[]>();
  readonly #names: ReadonlySet<string>;
  /** What the page shows, and no comment explains. */
  readonly undocumented: string[] = [];

  constructor(project: Project) {
    const modules = project.children ?? [];
    // A module that is imported for what it does has a section of its own.
    const doers = modules.flatMap((module) =>
      module.comment === undefined ? [] : [{ ...module, name: importedAs(module), children: [] }],
    );
    // What a second module exports too is described where the first does.
    const own = modules
      .flatMap((module) => module.children ?? [])
      .filter(({ kind }) => kind !== Kind.Reference);
    const all = [...doers, ...own];
    const names = all.map(({ name }) => name);
    this.#names = new Set(names);
    for (const topic of TOPICS) this.#byTopic.set(topic, []);
    for (const declaration of all) {
      // A constant and the type of its values are one thing to a reader.
      if (isType(declaration) && names.filter((name) => name === declaration.name).length > 1) continue;
      const file = project.symbolIdMap[declaration.id]?.packagePath ?? '';
      const topic = TOPICS.find(
        ({ files, first }) => first?.includes(declaration.name) === true || files.test(file),
      );
      if (topic === undefined) throw new Error(`${declaration.name}, of ${file}, belongs to no topic`);
      this.#byTopic.get(topic)?.push(declaration);
    }
    for (const [{ first = [] }, declarations] of this.#byTopic) {
      const place = ({ name }: Declaration): number => first.indexOf(name) + 1 || first.length + 1;
      declarations.sort((a, b) => place(a) - place(b) || order(a) - order(b) || (a.name < b.name ? -1 : 1));
    }
  }

  contents(): string {
    const lines = [...this.#byTopic]
      .filter(([, declarations]) => declarations.length > 0)
      .map(([{ title }, declarations]) => {
        const names = declarations.map(({ name }) => `[${name}](#${anchor(name)})`);
        return `- [**${title}**](#${anchor(title)}): ${names.join(' · ')}`;
      });
    return `${lines.join('\n')}\n`;
  }

  chapters(): string {
    const parts: string[] = [];
    for (const [{ title, text }, declarations] of this.#byTopic) {
      if (declarations.length === 0) continue;
      parts.push(`## ${title}\n`);
      if (text !== undefined) parts.push(`${this.#linked(text)}\n`);
      for (const declaration of declarations) parts.push(this.#section(declaration));
    }
    return parts.join('\n');
  }

  #section(declaration: Declaration): string {
    const { name, kind, signatures = [] } = declaration;
    const parts = [`### ${name}\n`];
    const own = kind === Kind.Function ? signatures[0]?.comment : declaration.comment;
    const code = declarationCode(declaration, this.#names);
    if (code !== '') parts.push(`\`\`\`ts\n${code}\n\`\`\`\n`);
    const parameters = kind === Kind.Function ? (signatures[0]?.parameters ?? []) : [];
    const text = this.#paragraphs(own, parameters);
    if (text === '') this.undocumented.push(name);
    else parts.push(`${text}\n`);
    const rows = kind === Kind.Function ? [] : this.#rows(declaration);
    if (rows.length > 0) parts.push(this.#table(rows));
    return parts.join('\n');
  }

  #rows(declaration: Declaration): Row[] {
    const { name, children = [], type, kind } = declaration;
    if (type?.type === 'union' && type.elementSummaries !== undefined) {
      const summaries = type.elementSummaries;
      return (type.types ?? []).map((element, i) => ({
        code: [typeText(element)],
        text: this.#linked(joined(summaries[i] ?? [])),
      }));
    }
    const members = type?.type === 'reflection' ? (type.declaration?.children ?? []) : children;
    const owner = { name, isClass: kind === Kind.Class };
    const defaults = DEFAULTS[name];
    return members
      .filter((member) => isShown(member, this.#names))
      .sort((a, b) => place(a) - place(b))
      .flatMap((member) => {
        const row = this.#row(member, owner);
        if (row.text === '' && member.kind !== Kind.Constructor)
          this.undocumented.push(`${name}.${member.name}`);
        const fallback = defaults === undefined ? {} : { fallback: valueText(defaults[member.name]) };
        return [{ ...row, ...fallback }, ...this.#rowsOfObject(member)];
      });
  }

  /** The members of a property that has its type written out. */
  #rowsOfObject(member: Declaration): Row[] {
    const { name, type } = member;
    if (member.kind !== Kind.Property || type?.type !== 'reflection') return [];
    return (type.declaration?.children ?? [])
      .filter((child) => child.comment !== undefined)
      .map((child) => ({
        code: [`${name}.${nameText(child)}: ${typeText(child.type)}`],
        text: this.#sentence(child.comment, []),
      }));
  }

  #row(member: Declaration, { name: owner, isClass }: Owner): Row {
    const { kind, flags, getSignature, setSignature, type } = member;
    const prefix = flags.isStatic === true ? `${owner}.` : '';
    if (kind === Kind.Constructor) {
      const { signatures = [] } = member;
      const code = signatures.map((signature) => `new ${owner}${callText(signature, '')}`);
      return { code, text: this.#sentences(signatures) };
    }
    const isOptional = flags.isOptional === true;
    const calls = member.signatures ?? (isOptional ? undefined : type?.declaration?.signatures);
    if (calls !== undefined) {
      const code = calls.map((signature) => `${prefix}${nameText(member)}${callText(signature, ': ')}`);
      const text = member.comment === undefined ? this.#sentences(calls) : this.#sentence(member.comment, []);
      return { code, text };
    }
    const isReadonly = getSignature === undefined ? flags.isReadonly === true : setSignature === undefined;
    const label = `${isClass && isReadonly ? 'readonly ' : ''}${prefix}${nameText(member)}`;
    const comment = getSignature?.comment ?? setSignature?.comment ?? member.comment;
    return {
      code: [`${label}: ${typeText(getSignature?.type ?? type)}`],
      text: this.#sentence(comment, []),
    };
  }

  #table(given: readonly Row[]): string {
    const ending = sharedEnding(given);
    const hasDefaults = given.some(({ fallback }) => fallback !== undefined);
    const rows = given.map(({ code, text, fallback = '' }) => {
      const shown = code.map((line) => codeCell(line.slice(0, line.length - ending.length)));
      return `| ${shown.join('<br>')} | ${hasDefaults ? `${fallback} | ` : ''}${text} |`;
    });
    const note = ending === '' ? [] : [`Each is a \`${ending.slice(2)}\`.\n`];
    const head = hasDefaults ? ['| | default | |', '| --- | --- | --- |'] : ['| | |', '| --- | --- |'];
    return [...note, ...head, ...rows, ''].join('\n');
  }

  #sentences(signatures: readonly Signature[]): string {
    const said = signatures.find(
      ({ comment, parameters = [] }) => comment !== undefined || saidOf(parameters).length > 0,
    );
    return this.#sentence(said?.comment, said?.parameters ?? []);
  }

  /** A comment as one line of text. */
  #sentence(comment: Comment | undefined, parameters: readonly Declaration[]): string {
    const parts = comment === undefined ? [] : [joined(comment.summary)];
    parts.push(...saidOf(parameters));
    for (const { tag, content } of comment?.blockTags ?? []) parts.push(`${wordOf(tag)} ${joined(content)}`);
    return this.#linked(
      parts
        .filter((part) => part !== '')
        .map(ended)
        .join(' '),
    ).replaceAll('|', '\\|');
  }

  /** A comment as paragraphs, with its lists and examples. */
  #paragraphs(comment: Comment | undefined, parameters: readonly Declaration[]): string {
    if (comment === undefined) return '';
    const parts = [
      comment.summary
        .map(({ text }) => text)
        .join('')
        .trim(),
    ];
    const said = saidOf(parameters);
    if (said.length > 0) parts.push(said.join(' '));
    for (const { tag, content } of comment.blockTags ?? [])
      parts.push(ended(`${wordOf(tag)} ${joined(content)}`));
    return parts.map((part) => this.#linked(part)).join('\n\n');
  }

  /** Names of the reference in backticks lead to their sections. */
  #linked(text: string): string {
    return text.replace(/(?<![[`])`([A-Z]\w+)`(?!`)/g, (code: string, name: string) =>
      this.#names.has(name) ? `[${code}](#${anchor(name)})` : code,
    );
  }
}

/** `register/register` is the file of `tunstack/register`. */
const importedAs = ({ name }: Declaration): string => `tunstack/${name.split('/').at(-1) ?? ''}`;

/** What is meant to be used first, then what it takes. */
const ORDER: readonly number[] = [
  Kind.Module,
  Kind.Class,
  Kind.Function,
  Kind.Interface,
  Kind.TypeAlias,
  Kind.Variable,
];
const order = ({ kind }: Declaration): number => ORDER.indexOf(kind);

/** Within a section: how it is made, then what it is told and asked. */
const place = ({ kind, flags }: Declaration): number =>
  kind === Kind.Constructor ? 0 : flags.isStatic === true ? 1 : 2;

function valueText(value: unknown): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return codeCell(`[${value.join(', ')}]`);
  if (typeof value === 'string') return codeCell(`'${value}'`);
  const text = JSON.stringify(value === Number.POSITIVE_INFINITY ? 'Infinity' : value).replaceAll('"', '');
  return codeCell(/^\d{5,}$/.test(text) ? text.replace(/\B(?=(\d{3})+$)/g, '_') : text);
}

/** As GitHub makes it of a heading. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');

const codeCell = (code: string): string => `\`${code.replaceAll('|', '\\|')}\``;

const joined = (parts: readonly CommentPart[]): string =>
  parts
    .map(({ text }) => text)
    .join('')
    .replace(/\s+/g, ' ')
    .trim();

/** What is said of parameters, a sentence each. */
const saidOf = (parameters: readonly Declaration[]): string[] =>
  parameters.flatMap(({ name, comment }) =>
    comment === undefined ? [] : [ended(`\`${name}\`: ${joined(comment.summary)}`)],
  );

const ended = (text: string): string => (/[.:!?…]$/.test(text) ? text : `${text}.`);

const TAG_WORDS: Readonly<Record<string, string>> = {
  '@returns': 'Returns',
  '@throws': 'Throws',
  '@see': 'See',
};
const wordOf = (tag: string): string => TAG_WORDS[tag] ?? `${tag.slice(1)}:`;

/** What only repeats a public interface is left to the section of the interface. */
function isShown({ signatures, getSignature, ...member }: Declaration, names: ReadonlySet<string>): boolean {
  const implemented =
    member.implementationOf ?? signatures?.[0]?.implementationOf ?? getSignature?.implementationOf;
  const owner = implemented?.name?.replace(/\..*$/, '');
  return member.inheritedFrom === undefined && (owner === undefined || !names.has(owner));
}

function declarationCode(declaration: Declaration, names: ReadonlySet<string>): string {
  const { name, kind, signatures = [], type, ...rest } = declaration;
  if (kind === Kind.Function)
    return signatures.map((signature) => `${name}${callText(signature, ': ')}`).join('\n');
  // Where each part has a row, the rows say it all.
  if (type?.elementSummaries !== undefined) return '';
  if (kind === Kind.TypeAlias) return `type ${name} =${aliasText(name, typeText(type))}`;
  if (kind === Kind.Variable && type?.type !== 'reflection') return `const ${name}: ${typeText(type)}`;
  if (kind === Kind.Interface && signatures.length > 0) {
    return signatures.map((signature) => callText(signature, ': ')).join('\n');
  }
  const extended = (rest.extendedTypes ?? []).map(typeText);
  const implemented = (rest.implementedTypes ?? []).map(typeText).filter((other) => names.has(other));
  const clauses = [
    ...(extended.length > 0 ? [`extends ${extended.join(', ')}`] : []),
    ...(implemented.length > 0 ? [`implements ${implemented.join(', ')}`] : []),
  ];
  if (clauses.length === 0) return '';
  return `${kind === Kind.Class ? 'class' : 'interface'} ${name} ${clauses.join(' ')}`;
}

/** Long lists of words take several lines. */
function aliasText(name: string, text: string): string {
  const words = WORDS[name]?.map((word) => `'${word}'`) ?? [text];
  const lines = [''];
  for (const [i, word] of words.entries()) {
    const more = i === 0 ? ` ${word}` : ` | ${word}`;
    if ((lines.at(-1) ?? '').length + more.length > MAX_LINE) lines.push(` ${more}`);
    else lines[lines.length - 1] += more;
  }
  return lines.join('\n');
}

/** `: number`, where many members all have it. */
function sharedEnding(rows: readonly Row[]): string {
  const endings = new Set(
    rows.flatMap(({ code }) => code.map((line) => /^[\w.]+(: \w+)$/.exec(line)?.[1] ?? '')),
  );
  const [ending] = endings;
  return endings.size === 1 && rows.length >= MANY ? (ending ?? '') : '';
}
