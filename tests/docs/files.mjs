// The repository's files.
import {readdirSync} from 'node:fs';
import path from 'node:path';

export const root = process.env.ALLOD_SOURCE_DIR;
if (!root) throw new Error('run this through ctest');

const SKIPPED = /^(\.git|node_modules|build.*)$/;

// Paths from the root.
export function* filesBelow(directory) {
  for (const entry of readdirSync(path.join(root, directory), {withFileTypes: true})) {
    const name = path.posix.join(directory, entry.name);
    if (entry.isDirectory() && !SKIPPED.test(entry.name)) yield* filesBelow(name);
    if (entry.isFile()) yield name;
  }
}
