// Values for the places of an OpenAPI document, from a seed: what the schema allows, and what nobody should send.

export class Random {
  #state;
  constructor(seed) {
    this.#state = seed >>> 0;
  }
  next() {
    // mulberry32
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  below(n) {
    return Math.floor(this.next() * n);
  }
  chance(p) {
    return this.next() < p;
  }
  pick(list) {
    return list[this.below(list.length)];
  }
  word() {
    return Array.from({ length: 1 + this.below(10) }, () => this.pick('abcdefghijklmnopqrstuvwxyz0123456789-')).join('');
  }
  bytes(n) {
    return Buffer.from(Array.from({ length: n }, () => this.below(256)));
  }
}

// Strings that have broken servers before: encodings, sizes, and what a database, a path or a number parser might read in them.
export const hostileStrings = [
  '', ' ', '\0', 'a\0b', '\u0001', '\u007f', '\u0085', '\u200e', '\ufeff', '\ufffd', '\ufffe', '\u{10ffff}', '\u{e0001}', 'é', 'e\u0301', '🎉'.repeat(64),
  '..', '../..', '.', '/', '//', '-', '--', '*', '%', '%s%n%x', '%00', '%2e%2e%2f', "'", "' OR 1=1; --", '"', '\\', '\\u0000', '${x}', '{{x}}', '<script>', '\r\n', 'a\r\nb: c',
  'null', 'true', 'NaN', 'Infinity', '-0', '0', '-1', '1e309', '1e-400', '007', '0x10', '1_000', '２', '99999999999999999999', '-99999999999999999999',
  '9223372036854775807', '9223372036854775808', '-9223372036854775808', '18446744073709551615', '2147483648', '0.0000000000000000000000001', '1.5', '١٢',
  '0001-01-01T00:00:00Z', '9999-12-31T23:59:59.999999999Z', '10000-01-01T00:00:00Z', '0000-00-00T00:00:00Z', '2026-02-30T00:00:00Z', '2026-01-01', '1970-01-01T00:00:00+99:99',
  '-1s', '0.1s', '1e3s', '315576000001s', '0.0000000001s', 's',
  'tenants/ug', 'tenants/ke/projects/services/instances/assistant', 'tenants/-', 'tenants/ke/projects/-', 'models/-/versions/-', 'projects/x', 'operations/x', 'A'.repeat(63), 'a'.repeat(64), 'a'.repeat(300),
  'a'.repeat(5_000), 'ab'.repeat(100_000), 'é'.repeat(40_000), '[1,2', '{"a":1}', 'bW9kZWxz', '====', 'AAAA'.repeat(3000), '00000000-0000-0000-0000-000000000000', '01890000-0000-7000-8000-000000000001',
];

const hostileValues = [
  null, true, false, 0, -1, 1.5, 1e300, -1e300, 2 ** 31, -(2 ** 31) - 1, 2 ** 53, 2 ** 63, [], {}, [[]], [null], [{}], { a: { b: { c: {} } } }, { '': '' }, { '@type': 'x' },
  { '@type': 'type.googleapis.com/google.protobuf.Any' }, { __proto__x: 1 }, Array(1000).fill(0), Array(1000).fill(''), Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`k${i}`, i])),
];

// JSON text that JSON.stringify cannot make; put in place of a value.
const hostileTexts = ['1e999', '-0', '01', '+1', 'NaN', "'x'", '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\t"', '{"a":1,"a":2}', '[1,]', '{,}', '"\\x"', '0'.repeat(400), `1${'0'.repeat(400)}`,
  '['.repeat(40) + ']'.repeat(40), '{"a":'.repeat(40) + '1' + '}'.repeat(40)];

export function hostileValue(random) {
  return random.chance(0.6) ? random.pick(hostileStrings) : random.pick(hostileValues);
}

export class Values {
  // `known`: values that name what is there, by property or parameter name.
  constructor(document, random, known) {
    this.document = document;
    this.random = random;
    this.known = known;
  }

  resolve(schema) {
    while (schema?.$ref) {
      schema = schema.$ref.slice(2).split('/').reduce((at, key) => at[key.replaceAll('~1', '/').replaceAll('~0', '~')], this.document);
    }
    return schema ?? {};
  }

  // A value that the schema allows; `name` is where it will stand.
  value(unresolved, name, depth = 0) {
    const { random } = this;
    const known = this.known[name];
    if (known?.length) return random.pick(known);
    const schema = this.resolve(unresolved);
    if (schema.const !== undefined) return schema.const;
    if (schema.enum) return random.pick(schema.enum);
    if (schema.anyOf) return this.value(random.pick(schema.anyOf), name, depth);
    const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
    if (type === 'object' || schema.properties || schema.allOf) return this.object(schema, depth);
    if (type === 'array') {
      const most = Math.min(schema.maxItems ?? 3, 3);
      const count = Math.max(schema.minItems ?? 0, random.below(most + 1));
      return Array.from({ length: depth > 6 ? 0 : count }, () => this.value(schema.items, '', depth + 1));
    }
    if (type === 'integer' || type === 'number') {
      const min = schema.minimum ?? 0;
      const number = min + random.next() * (Math.min(schema.maximum ?? 100, min + 100) - min);
      return type === 'integer' ? Math.round(number) : number;
    }
    if (type === 'boolean') return random.chance(0.5);
    return this.string(schema);
  }

  // All that is required, some of the rest.
  object(unresolved, depth) {
    const out = {};
    if (depth > 6) return out;
    const schema = this.resolve(unresolved);
    for (const part of schema.allOf ?? []) Object.assign(out, this.object(part, depth));
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      if (schema.required?.includes(name) || this.random.chance(0.4)) out[name] = this.value(property, name, depth + 1);
    }
    return out;
  }

  string(schema) {
    const { random } = this;
    if (schema.format === 'date-time') return new Date(Date.now() + (random.next() - 0.5) * 1e10).toISOString();
    if (schema.format === 'int64' || schema.format === 'uint64') return String(random.below(1000));
    if (schema.format === 'byte') return random.bytes(random.below(20)).toString('base64');
    return random.word();
  }

  // JSON text of `value` with one place, or the whole, made hostile.
  spoil(value) {
    const { random } = this;
    const places = [];
    const visit = (at, path) => {
      if (at === null || typeof at !== 'object') return;
      for (const key of Object.keys(at)) {
        places.push([...path, key]);
        visit(at[key], [...path, key]);
      }
    };
    visit(value, []);
    const copy = structuredClone(value);
    const marker = '\u2318spoilt\u2318';
    const text = random.chance(0.2) ? random.pick(hostileTexts) : JSON.stringify(hostileValue(random));
    if (!places.length || random.chance(0.05)) return text;
    const path = random.pick(places);
    let at = copy;
    for (const key of path.slice(0, -1)) at = at[key];
    // A list gets a further element: a hostile string that is a number would make it billions long.
    if (random.chance(0.15)) at[Array.isArray(at) ? at.length : random.pick(hostileStrings)] = marker;
    else at[path.at(-1)] = marker;
    return JSON.stringify(copy).replace(JSON.stringify(marker), () => text);
  }
}
