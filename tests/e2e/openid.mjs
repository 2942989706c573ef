// What tests make identity providers and tokens of: oidc-provider and jose, on every Node.js from 18 on.

import { webcrypto } from 'node:crypto';

// jose wants it as a global, which Node.js 18 has behind a flag.
globalThis.crypto ??= webcrypto;

export const { default: Provider } = await import('oidc-provider');
export const jose = await import('jose');
