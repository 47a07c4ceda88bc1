// Plays a k6 script in virtual time with stand-ins for k6's modules: arrival-rate scenarios, tags, metrics, thresholds
// read every two seconds, dropped iterations, and the end-of-test summary. Prints what the script did as JSON.
// Arguments: the script, and a JSON object {slots, service_ms, fail_from_s, env, monitoring}.

import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [script, settingsText] = process.argv.slice(2);
const settings = JSON.parse(settingsText);
const world = { now_s: 0, slept_s: 0, group: "", scenario: null, aborted: null };
globalThis.world = world;
globalThis.__ENV = settings.env;
globalThis.open = (path) => readFileSync(path, "utf-8");
const epoch = 1.7e12;
Date.now = () => epoch + 1000 * world.now_s;

// Repeatable chance (mulberry32).
let state = settings.seed || 1;
const forced = [];
Math.random = () => {
  if (forced.length) return forced.pop();
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};

world.record = (metric, value, tags) => {
  const scenario = world.scenario === null ? {} : { scenario: world.scenario.name };
  const sample = { at: world.now_s, value, tags: { ...scenario, ...tags } };
  for (const shelf of [metric, `${metric} ${sample.tags.scenario}`]) {
    if (!world.samples.has(shelf)) world.samples.set(shelf, []);
    world.samples.get(shelf).push(sample);
  }
};
world.samples = new Map();

// A pool of slots with one queue, in the order in which requests are sent.
let free = Array(settings.slots).fill(0);
world.rows = [];
world.request = (url, params) => {
  const answer = answerTo(url);
  const { duration } = answer.timings;
  world.rows.push([world.now_s, duration, world.scenario.name, (params.tags || {}).name || url, world.group, answer.status]);
  return answer;
};
function answerTo(url) {
  if (url.includes("/api/v1/query")) return monitoring(url);
  const k = free.indexOf(Math.min(...free));
  const begin = Math.max(world.now_s, free[k]);
  const done = begin + (settings.service_ms / 1000) * (0.66 + 0.68 * Math.random());
  free[k] = done;
  const duration = 1000 * (done - world.now_s);
  const failing = settings.fail_from_s !== undefined && world.now_s >= settings.fail_from_s;
  world.now_s = done;
  return { status: failing ? 500 : 200, timings: { blocked: 0, connecting: 0, tls_handshaking: 0, duration }, body: "" };
};
function monitoring(url) {
  const query = decodeURIComponent(url.split("query=")[1]);
  const value = settings.monitoring[query];
  const timings = { duration: 5 };
  if (value === undefined) return { status: 503, timings, body: "" };
  return { status: 200, timings, body: JSON.stringify({ data: { result: [{ value: [0, String(value)] }] } }) };
}

const root = mkdtempSync(join(tmpdir(), "k6-"));
const modules = {
  "index.mjs": "export const sleep = (s) => { world.now_s += s; }; " +
    "export const group = (name, inside) => { world.group = `::${name}`; try { return inside(); } finally { world.group = ''; } };",
  "http.mjs": "const request = (_m, url, _body, params) => world.request(url, params); " +
    "export default { request, get: (url, params) => world.request(url, params) };",
  "execution.mjs": `export default {
    get scenario() { return { name: world.scenario.name, startTime: ${epoch} + 1000 * world.scenario.begin }; },
    get vu() { return { iterationInScenario: world.scenario.iteration }; },
    test: { abort(why) { world.aborted = { at: world.now_s, why }; throw new Error("aborted"); } },
  };`,
  "metrics.mjs": `class Metric { constructor(name) { this.name = name; } add(value, tags) { world.record(this.name, Number(value), tags || {}); } }
    export class Counter extends Metric {} export class Rate extends Metric {} export class Trend extends Metric {}`,
};
const folder = join(root, "node_modules", "k6");
mkdirSync(folder, { recursive: true });
for (const [name, text] of Object.entries(modules)) writeFileSync(join(folder, name), text);
const exports = { ".": "./index.mjs", "./http": "./http.mjs", "./execution": "./execution.mjs", "./metrics": "./metrics.mjs" };
writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "k6", exports }));
const copy = join(root, "script.mjs");
writeFileSync(copy, readFileSync(script, "utf-8"));
const test = await import(pathToFileURL(copy));

const seconds = (text) => Number(text.replace(/s$/, ""));
const iterations = [];
for (const [name, one] of Object.entries(test.options.scenarios)) {
  const begin = seconds(one.startTime || "0s");
  const scenario = { name, begin, exec: one.exec, free: [], most: one.maxVUs || 1 };
  if (one.executor === "constant-vus") {
    for (let at = 0, k = 0; at < seconds(one.duration); at += 10, k += 1) iterations.push({ at, scenario, k });
    continue;
  }
  const gap = seconds(one.timeUnit) / one.rate;
  for (let k = 0; k * gap < seconds(one.duration); k += 1) {
    iterations.push({ at: begin + k * gap, scenario, k, chance: Math.random() });
  }
}
// The queue is first in, first out: requests are played in the order in which they are sent, not in which their
// iterations start. The first chance that an iteration takes is by how much it waits.
const spread_s = Number(settings.env.CAPACITY_SPREAD_S || 1);
const sentAt = (one) => one.at + spread_s * (one.chance || 0);
iterations.sort((a, b) => sentAt(a) - sentAt(b));

function values(key, until) {
  const [metric, rest] = key.split("{");
  const wanted = rest ? rest.slice(0, -1).split(",").map((pair) => pair.split(":")) : [];
  const scenario = wanted.find(([tag]) => tag === "scenario");
  const shelf = world.samples.get(scenario ? `${metric} ${scenario[1]}` : metric) || [];
  const found = shelf.filter(
    (s) => s.at <= until && wanted.every(([tag, value]) => s.tags[tag] === value),
  ).map((s) => s.value);
  const sorted = [...found].sort((a, b) => a - b);
  const at = (share) => (sorted.length ? sorted[Math.min(Math.floor(share * sorted.length), sorted.length - 1)] : 0);
  const sum = found.reduce((total, value) => total + value, 0);
  // k6 knows no rate of nothing, and judges it as broken in its older versions.
  if (metric === "failed") return { rate: found.length ? sum / found.length : NaN, passes: sum, fails: found.length - sum };
  if (["sent", "answered", "dropped_iterations"].includes(metric) || metric.startsWith("stopped_by")) return { count: sum };
  return { avg: found.length ? sum / found.length : 0, med: at(0.5), "p(95)": at(0.95), "p(99)": at(0.99), max: at(1), count: found.length };
}

function holds(expression, found) {
  const [, name, sign, limit] = expression.match(/^(.+?)(<=|>=|<|>)(.+)$/);
  const value = found[name];
  if (value === undefined) throw new Error(`${expression}: no ${name}`);
  return { "<=": value <= limit, ">=": value >= limit, "<": value < limit, ">": value > limit }[sign];
}

function judge(now) {
  for (const [key, list] of Object.entries(test.options.thresholds)) {
    for (const one of list) {
      const rule = typeof one === "string" ? { threshold: one } : one;
      if (!rule.abortOnFail || now < seconds(rule.delayAbortEval || "0s")) continue;
      if (Number.isNaN(values(key, now).rate)) continue; // while it runs, k6 judges nothing of no samples
      if (!holds(rule.threshold, values(key, now))) return { key, threshold: rule.threshold };
    }
  }
  return null;
}

let next = 2;
let ended = null;
const started = {};
for (const one of iterations) {
  while (ended === null && sentAt(one) >= next) {
    const broken = judge(next);
    if (broken) ended = { at: next, broken };
    next += 2;
  }
  if (ended || world.aborted) break;
  const { scenario } = one;
  scenario.free = scenario.free.filter((until) => until > one.at);
  world.scenario = { ...scenario, iteration: one.k };
  world.now_s = one.at;
  if (scenario.free.length >= scenario.most) {
    world.record("dropped_iterations", 1, {});
    continue;
  }
  started[scenario.name] = (started[scenario.name] || 0) + 1;
  if (one.chance !== undefined) forced.push(one.chance);
  try {
    test[scenario.exec]();
  } catch (error) {
    if (error.message !== "aborted") throw error;
  }
  scenario.free.push(world.now_s);
}
const last = Object.values(test.options.scenarios).reduce((end, s) => Math.max(end, seconds(s.startTime || "0s") + seconds(s.duration)), 0);
for (; ended === null && world.aborted === null && next <= last + 30; next += 2) {
  const broken = judge(next);
  if (broken) ended = { at: next, broken };
}
const ran_s = world.aborted ? world.aborted.at : ended ? ended.at : last;
world.scenario = null;
world.now_s = ran_s;
const metrics = {};
const keys = new Set([...Object.keys(test.options.thresholds), ...[...world.samples.keys()].filter((shelf) => !shelf.includes(" "))]);
for (const key of keys) {
  const thresholds = {};
  for (const one of test.options.thresholds[key] || []) {
    const expression = typeof one === "string" ? one : one.threshold;
    const early = typeof one !== "string" && ran_s < seconds(one.delayAbortEval || "0s");
    thresholds[expression] = { ok: early || holds(expression, values(key, ran_s)) };
  }
  metrics[key] = { values: values(key, ran_s), thresholds };
}
const files = test.handleSummary({ metrics, state: { testRunDurationMs: 1000 * ran_s } });
console.log(JSON.stringify({ ended, aborted: world.aborted, ran_s, started, files, options: test.options, rows: settings.rows ? world.rows : [] }));
