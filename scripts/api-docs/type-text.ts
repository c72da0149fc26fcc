/** Types as one would write them. */
import type { Declaration, Signature, Type } from './model.js';

/** Longer object types are cut to `{ … }`: their members stand in rows of their own. */
const MAX_INLINE = 100;
const MAX_UNION = 160;

export function typeText(type: Type | undefined): string {
  if (type === undefined) return 'unknown';
  switch (type.type) {
    case 'literal':
      return typeof type.value === 'string' ? `'${type.value}'` : String(type.value);
    case 'array':
      return `${grouped(type.elementType)}[]`;
    case 'union':
      return unionText((type.types ?? []).map(memberText));
    case 'intersection':
      return (type.types ?? []).map(grouped).join(' & ');
    case 'tuple':
      return `[${(type.elements ?? []).map(typeText).join(', ')}]`;
    case 'namedTupleMember':
      return `${type.name}${type.isOptional === true ? '?' : ''}: ${typeText(type.element)}`;
    case 'optional':
      return `${grouped(type.elementType)}?`;
    case 'rest':
      return `...${grouped(type.elementType)}`;
    case 'reference':
      return referenceText(type);
    case 'query':
      return queryText(type.queryType);
    case 'typeOperator':
      return `${type.operator} ${grouped(type.target as Type)}`;
    case 'indexedAccess':
      return `${grouped(type.objectType)}[${typeText(type.indexType)}]`;
    case 'predicate':
      return predicateText(type);
    case 'templateLiteral':
      return `\`${type.head}${(type.tail ?? []).map(([part, text]) => `\${${typeText(part)}}${text}`).join('')}\``;
    case 'conditional':
      return conditionalText(type);
    case 'inferred':
      return `infer ${type.name}`;
    case 'reflection':
      return objectText(type.declaration);
    default:
      return type.name ?? `(${type.type})`;
  }
}

/** A long list of words is of a name that stands next to it. */
function unionText(members: readonly string[]): string {
  const text = members.join(' | ');
  return text.length > MAX_UNION && members.every((member) => member.startsWith("'"))
    ? `${members.slice(0, 2).join(' | ')} | …`
    : text;
}

function referenceText(type: Type): string {
  if (type.name === '__module') return queryText(type);
  const name = type.name ?? 'unknown';
  if (type.typeArguments === undefined) return name;
  return `${name}<${type.typeArguments.map(typeText).join(', ')}>`;
}

/** Of a whole module of Node's, or of one of our names. */
function queryText(type: Type | undefined): string {
  const whole = /^"(.*)"$/.exec(type?.qualifiedName ?? '');
  return whole === null ? `typeof ${typeText(type)}` : `typeof import('${whole[1]}')`;
}

function conditionalText({ checkType, extendsType, trueType, falseType }: Type): string {
  const condition = `${typeText(checkType)} extends ${typeText(extendsType)}`;
  return `${condition} ? ${typeText(trueType)} : ${typeText(falseType)}`;
}

function predicateText(type: Type): string {
  const claim = type.targetType === undefined ? '' : ` is ${typeText(type.targetType)}`;
  return `${type.asserts === true ? 'asserts ' : ''}${type.name}${claim}`;
}

const isFunction = (type: Type | undefined): boolean => type?.declaration?.signatures !== undefined;

function memberText(type: Type): string {
  return isFunction(type) ? `(${typeText(type)})` : typeText(type);
}

/** With brackets where an operator follows. */
function grouped(type: Type | undefined): string {
  const binds =
    isFunction(type) || ['union', 'intersection', 'query', 'typeOperator'].includes(type?.type ?? '');
  return binds ? `(${typeText(type)})` : typeText(type);
}

function objectText(declaration: Declaration | undefined): string {
  if (declaration === undefined) return 'object';
  const { children = [], signatures, indexSignatures = [] } = declaration;
  if (signatures !== undefined) return signatures.map((signature) => callText(signature, ' => ')).join(' & ');
  const members = children.map((child) => {
    const [method] = child.signatures ?? [];
    if (method !== undefined) return `${child.name}${callText(method, ': ')}`;
    return `${nameText(child)}: ${typeText(child.type)}`;
  });
  for (const { parameters = [], type } of indexSignatures) {
    members.push(`[${parameters.map(parameterText).join(', ')}]: ${typeText(type)}`);
  }
  const text = `{ ${members.join('; ')} }`;
  return text.length > MAX_INLINE ? '{ … }' : text;
}

export const nameText = ({ name, flags }: Declaration): string =>
  `${name}${flags.isOptional === true ? '?' : ''}`;

function parameterText(parameter: Declaration): string {
  const isOptional = parameter.flags.isOptional === true || parameter.defaultValue !== undefined;
  const rest = parameter.flags.isRest === true ? '...' : '';
  const name = parameter.name === '__namedParameters' ? 'options' : parameter.name;
  return `${rest}${name}${isOptional ? '?' : ''}: ${typeText(parameter.type)}`;
}

/** `(a: number): string`, or with an arrow. */
export function callText(signature: Signature, arrow: ': ' | ' => ' | ''): string {
  const { parameters = [], typeParameters = [] } = signature;
  const generics = typeParameters.map(({ name, type }) =>
    type === undefined ? name : `${name} extends ${typeText(type)}`,
  );
  const prefix = generics.length === 0 ? '' : `<${generics.join(', ')}>`;
  return `${prefix}(${parameters.map(parameterText).join(', ')})${arrow === '' ? '' : arrow + typeText(signature.type)}`;
}
