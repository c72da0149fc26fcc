/** The part of TypeDoc's JSON that the reference is made of. */

/** TypeDoc's numbers for what a thing is. */
export const Kind = {
  Module: 2,
  Variable: 32,
  Function: 64,
  Class: 128,
  Interface: 256,
  Constructor: 512,
  Property: 1024,
  Method: 2048,
  Accessor: 262_144,
  TypeAlias: 2_097_152,
  Reference: 4_194_304,
} as const;

export interface CommentPart {
  /** `text`, `code` or `inline-tag`. */
  readonly kind: string;
  readonly text: string;
}

export interface Comment {
  readonly summary: readonly CommentPart[];
  readonly blockTags?: readonly { readonly tag: string; readonly content: readonly CommentPart[] }[];
}

/** A type; which fields there are follows from `type`. */
export interface Type {
  readonly type: string;
  readonly name?: string;
  readonly value?: unknown;
  readonly target?: number | Type | { readonly qualifiedName: string };
  readonly typeArguments?: readonly Type[];
  readonly types?: readonly Type[];
  readonly elementSummaries?: readonly (readonly CommentPart[])[];
  readonly elementType?: Type;
  readonly elements?: readonly Type[];
  readonly element?: Type;
  readonly isOptional?: boolean;
  readonly declaration?: Declaration;
  readonly queryType?: Type;
  readonly qualifiedName?: string;
  readonly operator?: string;
  readonly objectType?: Type;
  readonly indexType?: Type;
  readonly asserts?: boolean;
  readonly targetType?: Type;
  readonly checkType?: Type;
  readonly extendsType?: Type;
  readonly trueType?: Type;
  readonly falseType?: Type;
  readonly head?: string;
  readonly tail?: readonly (readonly [Type, string])[];
}

export interface Signature {
  readonly name: string;
  readonly comment?: Comment;
  readonly parameters?: readonly Declaration[];
  readonly typeParameters?: readonly Declaration[];
  readonly type?: Type;
  readonly implementationOf?: Type;
}

/** Whatever has a name: a module, a class, a member, a parameter. */
export interface Declaration {
  readonly id: number;
  readonly name: string;
  readonly kind: number;
  readonly flags: {
    readonly isOptional?: boolean;
    readonly isReadonly?: boolean;
    readonly isStatic?: boolean;
    readonly isRest?: boolean;
    readonly isConst?: boolean;
  };
  readonly comment?: Comment;
  readonly children?: readonly Declaration[];
  readonly signatures?: readonly Signature[];
  readonly getSignature?: Signature;
  readonly setSignature?: Signature;
  readonly indexSignatures?: readonly Signature[];
  readonly type?: Type;
  readonly defaultValue?: string;
  readonly extendedTypes?: readonly Type[];
  readonly implementedTypes?: readonly Type[];
  readonly implementationOf?: Type;
  readonly inheritedFrom?: Type;
}

export interface Project extends Declaration {
  /** Where each thing is declared. */
  readonly symbolIdMap: Readonly<Record<string, { readonly packagePath: string }>>;
}
