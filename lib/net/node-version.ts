/** Which Node runs us: in some things its versions differ, and what looks like it differs with them. */

/** Its major version: 20, 22, 24 … */
export const NODE_MAJOR = Number.parseInt(process.versions.node, 10);
