// Random JSON schemas of the keywords that are enforced, and random changes of JSON values. Everything follows from a seed.

export function seeded(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (end) => Math.floor(next() * end);
  return { next, below, chance: (p) => next() < p, pick: (list) => list[below(list.length)] };
}

// ajv itself stumbles over values with a member "constructor": it is a name of members, but not of enum's and const's.
const kNames = ['a', 'b', 'id', 'name', 'kind', '', 'a"b', 'tab\there', 'été', '😀', 'a/b~c', 'constructor', 'items'];
const kPatterns = [
  '^abc', 'abc$', 'b+', '^"q"$', '^a\\nb$', '^😀{2}$', '^\\d{3}-\\d{4}$', '^[\\w.]+@[\\w]+$', '^(?:ab|cd)*$', '^\\S+$', '\\s',
  '^[^\\x00-\\x1f"\\\\]*$', '^(a|b)?c{2,4}$', '^.$', '^$', '^[A-Z][a-z]*( [A-Z][a-z]*)*$', 'x|^y', '^\\u00e9+$', '^\\u{1F600}$',
  '^\\/[a-z\\-]+$', '\\\\', '^(?<year>\\d{4})$', '^\\W\\D$', '^a{0,3}?b$',
];
export const kFormats = ['date', 'time', 'date-time', 'uuid', 'email', 'hostname', 'ipv4', 'uri'];
const kStrings = ['', 'x', 'birth', 'death', 'a"b', '\\', 'line\nbreak', 'été', '😀😀', '</s>', 'true', '5'];
const kNumbers = [0, 1, -1, 3, 9, 10, 99, 100, -17, 255, 65535, 0.5, -0.25, 1.5, 3.14159, 1e6, -1e9, 0.001, 12345.678, 1e-7];

function sorted(random, make) {
  const [a, b] = [make(), make()];
  return a <= b ? [a, b] : [b, a];
}

function numberSchema(random, type) {
  const schema = { type };
  const [low, high] = sorted(random, () => random.pick(kNumbers) + (random.chance(0.3) ? random.below(50) : 0));
  if (random.chance(0.5)) schema[random.chance(0.7) ? 'minimum' : 'exclusiveMinimum'] = low;
  if (random.chance(0.5)) schema[random.chance(0.7) ? 'maximum' : 'exclusiveMaximum'] = high;
  if (random.chance(0.15)) schema.multipleOf = 1 + random.below(12);
  return schema;
}

function stringSchema(random) {
  const schema = { type: 'string' };
  const [low, high] = sorted(random, () => random.below(random.chance(0.1) ? 300 : 8));
  if (random.chance(0.3)) schema.minLength = low;
  if (random.chance(0.4)) schema.maxLength = high;
  if (random.chance(0.35)) schema.pattern = random.pick(kPatterns);
  else if (random.chance(0.25)) schema.format = random.pick(kFormats);
  return schema;
}

function literal(random, depth = 0) {
  if (depth < 2 && random.chance(0.15)) return [literal(random, depth + 1), literal(random, depth + 1)];
  if (depth < 2 && random.chance(0.15)) return { [random.pick(kNames.filter((name) => name !== 'constructor'))]: literal(random, depth + 1) };
  return random.pick([null, true, false, random.pick(kNumbers), random.pick(kStrings), random.pick(kStrings)]);
}

function arraySchema(random, depth, defs) {
  const schema = { type: 'array' };
  if (random.chance(0.3)) {
    schema.prefixItems = Array.from({ length: 1 + random.below(3) }, () => schemaOf(random, depth + 1, defs));
  }
  if (random.chance(0.8)) schema.items = random.chance(0.1) ? random.chance(0.5) : schemaOf(random, depth + 1, defs);
  const [low, high] = sorted(random, () => random.below(random.chance(0.1) ? 80 : 5));
  if (random.chance(0.3)) schema.minItems = low;
  if (random.chance(0.5)) schema.maxItems = high;
  return schema;
}

function objectSchema(random, depth, defs) {
  const schema = { type: 'object', properties: {} };
  for (let i = random.below(5); i > 0; --i) schema.properties[random.pick(kNames)] = schemaOf(random, depth + 1, defs);
  const names = Object.keys(schema.properties);
  if (random.chance(0.7)) schema.required = names.filter(() => random.chance(0.6));
  if (random.chance(0.15)) schema.required = [...(schema.required ?? []), 'undeclared'];
  if (random.chance(0.5)) schema.additionalProperties = random.pick([false, true, schemaOf(random, depth + 2, defs)]);
  if (random.chance(0.1)) delete schema.properties;
  return schema;
}

function unionSchema(random, depth, defs) {
  if (random.chance(0.5)) return { anyOf: Array.from({ length: 1 + random.below(3) }, () => schemaOf(random, depth + 1, defs)) };
  const branches = Array.from({ length: 1 + random.below(3) }, (_, i) => {
    const one = objectSchema(random, depth + 1, defs);
    one.properties = { tag: { const: random.chance(0.95) ? `t${i}` : 't0' }, ...one.properties };
    one.required = ['tag', ...(one.required ?? [])];
    return one;
  });
  return random.chance(0.8) ? { oneOf: branches } : { oneOf: [stringSchema(random), numberSchema(random, 'number')] };
}

// Schemas that hold together, beside other keywords.
function mergedSchema(random, depth, defs) {
  const make = random.pick([
    () => objectSchema(random, depth + 1, defs), () => stringSchema(random), () => numberSchema(random, 'number'),
    () => arraySchema(random, depth + 1, defs),
  ]);
  const merged = random.chance(0.5) ? make() : {};
  merged.allOf = [make(), make()];
  if (random.chance(0.3)) merged.anyOf = [make(), make()];
  return merged;
}

function schemaOf(random, depth, defs) {
  if (depth > 3) return random.pick([{ type: 'boolean' }, { type: 'null' }, stringSchema(random), numberSchema(random, 'integer')]);
  const roll = random.next();
  if (roll < 0.06) return { enum: Array.from({ length: 1 + random.below(4) }, () => literal(random)) };
  if (roll < 0.1) return { const: literal(random) };
  if (roll < 0.14) return { type: random.pick([['string', 'null'], ['integer', 'boolean'], ['array', 'object', 'number']]), maxLength: 4, minimum: 3 };
  if (roll < 0.22 && defs.length > 0) {
    return random.chance(0.7) ? { $ref: `#/$defs/${random.pick(defs)}` } : { $ref: `#/$defs/${random.pick(defs)}`, description: 'd', maxLength: 3, minItems: 1 };
  }
  if (roll < 0.3) return unionSchema(random, depth, defs);
  if (roll < 0.38) return mergedSchema(random, depth, defs);
  if (roll < 0.42) return random.pick([true, {}, { title: 'anything' }]);
  if (roll < 0.56) return stringSchema(random);
  if (roll < 0.68) return numberSchema(random, random.pick(['integer', 'number']));
  if (roll < 0.8) return arraySchema(random, depth, defs);
  return objectSchema(random, depth, defs);
}

export function randomSchema(random) {
  const defs = random.chance(0.4) ? ['one', 'two'] : [];
  let schema = random.chance(0.7) ? objectSchema(random, 0, defs) : schemaOf(random, 0, defs);
  if (typeof schema !== 'object') schema = {};
  if (defs.length > 0) schema.$defs = Object.fromEntries(defs.map((name) => [name, schemaOf(random, 1, defs)]));
  return schema;
}

const kOthers = [null, true, false, 0, -1, 1.5, 1e9, '', 'x', 'A long text that is none', [], [null], {}, { a: 1 }, '\n"\\'];

// A copy with one thing changed somewhere.
export function mutated(random, value) {
  if (Array.isArray(value) && value.length > 0 && random.chance(0.75)) {
    const out = [...value];
    const at = random.below(out.length);
    if (random.chance(0.2)) out.splice(at, 1);
    else if (random.chance(0.2)) out.push(random.pick(kOthers));
    else out[at] = mutated(random, out[at]);
    return out;
  }
  if (value !== null && typeof value === 'object' && !Array.isArray(value) && random.chance(0.85)) {
    const entries = Object.entries(value);
    const at = random.below(entries.length + 1);
    if (at === entries.length || random.chance(0.1)) entries.push([random.pick(['extra', ...kNames]), random.pick(kOthers)]);
    else if (random.chance(0.25)) entries.splice(at, 1);
    else entries[at] = [entries[at][0], mutated(random, entries[at][1])];
    return Object.fromEntries(entries);
  }
  if (typeof value === 'string' && random.chance(0.7)) {
    return random.pick([value + 'x', value.slice(1), [...value].reverse().join(''), value + '\n', value + value, value.toUpperCase()]);
  }
  if (typeof value === 'number' && random.chance(0.7)) {
    return random.pick([value + 1, value - 1, -value, value * 1000, value + 0.5, value / 7, Math.trunc(value)]);
  }
  return random.pick(kOthers);
}
