/** Makes the page: chapters by topic, a section per name, a row per member. */
import {
  type Comment,
  type CommentPart,
  type Declaration,
  Kind,
  type Project,
  type Signature,
} from './model.js';
import { DEFAULTS, TOPICS, type Topic } from './topics.js';
import { callText, nameText, typeText } from './type-text.js';

/** As many members of one type as make it worth saying the type once. */
const MANY = 6;

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

/** @throws Error for a name that belongs to no topic */
export function renderReference(project: Project, head: string): string {
  const page = new Page(project);
  return `${head}\n${page.contents()}\n${page.chapters()}`;
}

const isType = ({ kind }: Declaration): boolean => kind === Kind.TypeAlias;

class Page {
  readonly #byTopic = new Map<Topic, Declaration[]>();
  readonly #names: ReadonlySet<string>;

  constructor(project: Project) {
    const modules = project.children ?? [];
    const all = modules.flatMap((module) => module.children ?? []);
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
    const text = this.#paragraphs(own);
    if (text !== '') parts.push(`${text}\n`);
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
    const { name, kind, flags, getSignature, setSignature, type } = member;
    const prefix = flags.isStatic === true ? `${owner}.` : '';
    if (kind === Kind.Constructor) {
      const { signatures = [] } = member;
      const code = signatures.map((signature) => `new ${owner}${callText(signature, '')}`);
      return { code, text: this.#sentences(signatures) };
    }
    const calls = member.signatures ?? type?.declaration?.signatures;
    if (calls !== undefined && flags.isOptional !== true) {
      const code = calls.map((signature) => `${prefix}${name}${callText(signature, ': ')}`);
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
    const said = signatures.find(({ comment }) => comment !== undefined);
    return this.#sentence(said?.comment, said?.parameters ?? []);
  }

  /** A comment as one line of text. */
  #sentence(comment: Comment | undefined, parameters: readonly Declaration[]): string {
    const parts = comment === undefined ? [] : [joined(comment.summary)];
    for (const { name, comment: said } of parameters) {
      if (said !== undefined) parts.push(`\`${name}\`: ${joined(said.summary)}`);
    }
    for (const { tag, content } of comment?.blockTags ?? []) parts.push(`${wordOf(tag)} ${joined(content)}`);
    return this.#linked(
      parts
        .filter((part) => part !== '')
        .map(ended)
        .join(' '),
    ).replaceAll('|', '\\|');
  }

  /** A comment as paragraphs, with its lists and examples. */
  #paragraphs(comment: Comment | undefined): string {
    if (comment === undefined) return '';
    const parts = [
      comment.summary
        .map(({ text }) => text)
        .join('')
        .trim(),
    ];
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

/** What is meant to be used first, then what it takes. */
const ORDER: readonly number[] = [Kind.Class, Kind.Function, Kind.Interface, Kind.TypeAlias, Kind.Variable];
const order = ({ kind }: Declaration): number => ORDER.indexOf(kind);

/** Within a section: how it is made, then what it is told and asked. */
const place = ({ kind, flags }: Declaration): number =>
  kind === Kind.Constructor ? 0 : flags.isStatic === true ? 1 : 2;

function valueText(value: unknown): string {
  if (value === undefined) return '';
  const text = Array.isArray(value) ? `[${value.join(', ')}]` : JSON.stringify(value);
  return codeCell(text.replaceAll('"', "'"));
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

const ended = (text: string): string => (/[.:!?…]$/.test(text) ? text : `${text}.`);

const WORDS: Readonly<Record<string, string>> = { '@returns': 'Returns', '@throws': 'Throws', '@see': 'See' };
const wordOf = (tag: string): string => WORDS[tag] ?? `${tag.slice(1)}:`;

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
  if (kind === Kind.TypeAlias) return `type ${name} = ${typeText(type)}`;
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

/** `: number`, where many members all have it. */
function sharedEnding(rows: readonly Row[]): string {
  const endings = new Set(
    rows.flatMap(({ code }) => code.map((line) => /^[\w.]+(: \w+)$/.exec(line)?.[1] ?? '')),
  );
  const [ending] = endings;
  return endings.size === 1 && rows.length >= MANY ? (ending ?? '') : '';
}
