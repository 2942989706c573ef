// Who runs on this machine, from /proc.

import { readFileSync, readdirSync } from 'node:fs';

// {pid, parent, name, start}; `start` makes a pid that is used again another process.
function read(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (rest[0] === 'Z') return undefined;
    return { pid, parent: Number(rest[1]), name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')), start: rest[19] };
  } catch {
    return undefined; // gone meanwhile
  }
}

// All processes below `ancestor`, without itself; each says whether it has children.
export function descendants(ancestor) {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map((name) => read(Number(name))).filter(Boolean);
  const out = [];
  for (const parents = [ancestor]; parents.length; ) {
    const parent = parents.pop();
    for (const process of all.filter((p) => p.parent === parent)) {
      out.push({ ...process, children: all.some((p) => p.parent === process.pid) });
      parents.push(process.pid);
    }
  }
  return out;
}

export function alive({ pid, start }) {
  return read(pid)?.start === start;
}
