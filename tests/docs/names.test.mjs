// Every file that a document or a comment names is there: who follows a name must not be led to nothing.
//
// A name with a folder is looked for from the repository's root and beside the document; a bare one anywhere.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {test} from 'node:test';

import {filesBelow, root} from './files.mjs';

// Of others: what they call their own.
const FOREIGN = /^(google|grpc)\//;

const files = [...filesBelow('.')];
const paths = new Set(files);
const folders = new Set(files.flatMap((file) => {
  const out = [];
  for (let at = path.posix.dirname(file); at !== '.'; at = path.posix.dirname(at)) out.push(at);
  return out;
}));

function toPattern(glob) {
  return new RegExp('(^|/)' + glob.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '[^/]*') + '$');
}

// `beside`: the folder of the file that says it.
function isThere(name, beside) {
  // What stands for any name, as in services/AREA/store.h, is written in capitals.
  const clean = name.replace(/(?<![\w-])[A-Z]{4,}(?=[/_]|$)/g, '*');
  for (const candidate of [clean, path.posix.join(beside, clean)]) {
    if (paths.has(candidate) || folders.has(candidate)) return true;
  }
  const pattern = toPattern(clean);
  return files.some((file) => pattern.test(file));
}

function missing(file, names) {
  const beside = path.posix.dirname(file);
  return names.filter((name) => !FOREIGN.test(name) && !isThere(name, beside)).map((name) => `${file}: ${name}`);
}

const CODE_FILE = /(?<![\w./<*-])((?:[\w-]+\/)*(?:[\w*-]+\.(?:cc|h|proto|mjs|sql)|[a-z][a-z0-9_]*\.\*))(?![\w/])/g;

test('what documents name in backticks is there', () => {
  const lost = [];
  for (const file of files.filter((name) => name.endsWith('.md'))) {
    const text = readFileSync(path.join(root, file), 'utf8');
    for (const [, quoted] of text.matchAll(/`([^`\n]+)`/g)) {
      lost.push(...missing(file, [...quoted.matchAll(CODE_FILE)].map((match) => match[1])));
    }
  }
  assert.deepEqual(lost, []);
});

test('what documents link to is there', () => {
  const lost = [];
  for (const file of files.filter((name) => name.endsWith('.md'))) {
    const text = readFileSync(path.join(root, file), 'utf8');
    for (const [, target] of text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      if (!paths.has(path.posix.join(path.posix.dirname(file), target))) lost.push(`${file}: ${target}`);
    }
  }
  assert.deepEqual(lost, []);
});

test('what comments name is there', () => {
  const lost = [];
  for (const file of files.filter((name) => /\.(cc|h|proto|mjs)$/.test(name))) {
    const text = readFileSync(path.join(root, file), 'utf8');
    for (const [, comment] of text.matchAll(/^\s*\/\/ (.*)$/gm)) {
      lost.push(...missing(file, [...comment.matchAll(CODE_FILE)].map((match) => match[1])));
    }
  }
  assert.deepEqual(lost, []);
});
