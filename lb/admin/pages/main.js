// The status page: asks every two seconds, shows what it hears, and passes on what is wanted.

import * as beside from "./beside.js";
import { Chart } from "./chart.js";
import { details } from "./details.js";
import * as dialogs from "./dialogs.js";
import { $, attribute, text } from "./elements.js";
import { Lanes } from "./lanes.js";
import * as link from "./link.js";
import { KEPT, Measures } from "./measure.js";
import * as panels from "./panels.js";
import { figure, seconds, share } from "./words.js";

const EVERY = 2000;
/** Times that an answer takes, which the balancer has for itself before the next. */
const SHARE = 20;

const measures = new Measures();
const tiles = new panels.Tiles();
const lanes = new Lanes(act);
const charts = {
  latency: new Chart($("latency"), {
    lines: ["p99", "p95", "p50"].map((key) => ({ key, name: key, tint: key })),
    written: seconds,
    least: 0.001,
  }),
  rate: new Chart($("rate"), {
    lines: [
      { key: "rate", name: "requests", tint: "main", filled: true },
      { key: "failing", name: "errors", tint: "bad" },
    ],
    written: figure,
    least: 5,
  }),
  flight: new Chart($("flight"), {
    lines: [
      { key: "inFlight", name: "in flight", tint: "main", filled: true },
      { key: "waiting", name: "waiting", tint: "wait" },
    ],
    written: figure,
    least: 4,
  }),
};

let snapshot = null;
let taken = 0;
let forecast = null;
let forecastAt = -Infinity;
let past = []; // {since, bands}, one for each prediction that there was
let asking = null;
let refusedToken = false;

const now = () => performance.now() / 1000;

function linked(state, words) {
  attribute($("link"), "data-state", state);
  text($("link").lastElementChild, words);
  if (state === "lost") document.title = "lb: no answer";
}

function notice(why, mild = false) {
  const line = $("notice");
  line.hidden = !why;
  line.classList.toggle("mild", mild);
  text(line, why);
}

async function look() {
  if (asking) return asking;
  asking = ask().finally(() => (asking = null));
  return asking;
}

async function ask() {
  try {
    const found = await link.get("v1/snapshot");
    refusedToken = false;
    show(found, now());
    linked("live", "Live");
  } catch (error) {
    if (error.status === 401) return askToken();
    linked("lost", error.status ? error.message : "No answer, trying again");
  }
}

async function askToken() {
  linked("lost", "Needs a token");
  if ($("dialog").open) return;
  const token = await dialogs.token(refusedToken);
  if (token === null) return;
  link.keepToken(token);
  refusedToken = true;
  setTimeout(look);
}

async function foretell(time) {
  if (time - forecastAt < (forecast?.state === "working" ? 1 : 5)) return;
  forecastAt = time;
  try {
    forecast = await link.get("v1/forecast");
  } catch {
    forecast = null; // there is none
  }
}

/** Remember from when on which prediction holds; the first one holds for what came before, too. */
function foretold(bands, time) {
  if (JSON.stringify(bands) === JSON.stringify(past.at(-1)?.bands ?? {})) return;
  past.push({ since: past.length ? time : -Infinity, bands });
  while (past.length > 1 && past[1].since < time - KEPT) past.shift();
}

function show(found, time) {
  const point = measures.take(found, time);
  const elapsed = snapshot ? time - taken : 0;
  foretell(time);
  const good = forecast?.state === "ready" ? forecast : null;
  tiles.show(point, found, good);
  const bands = {};
  for (const key of ["p50", "p95", "p99"]) {
    const of = good?.latency?.[key];
    if (of) bands[key] = [of.low, of.high];
  }
  const flow = good?.throughput;
  if (flow?.low !== undefined) bands.rate = [flow.low, flow.high];
  foretold(bands, time);
  charts.latency.show(measures.points, time, past);
  charts.rate.show(measures.points, time, past);
  charts.flight.show(measures.points, time);
  lanes.show(found.backends, measures.backends, good?.backends);
  panels.algorithm(found);
  panels.workers(found, point, snapshot, elapsed, Date.now() / 1000);
  panels.predicted(forecast, point?.rate);
  beside.shadow(found.shadow);
  const { why, mild } = panels.standing(found);
  notice(why, mild);
  $("reload").disabled = false;
  document.title = `lb ${point ? `${figure(point.rate)}/s` : found.algorithm}`;
  snapshot = found;
  taken = time;
}

async function change(method, path, body, done, undo = null) {
  try {
    const answer = await link.change(method, path, body);
    dialogs.tell(done, { undo, hint: [answer.not_changed || []].flat().join("\n") });
  } catch (error) {
    if (error.status === 401) await askToken();
    else dialogs.tell(error.message, { hint: error.hint, bad: true });
  }
  look();
}

const backendPath = (name) => `v1/backends/${encodeURIComponent(name)}`;

async function act(name, what) {
  const backend = snapshot.backends.find((it) => it.name === name);
  if (!backend) return;
  if (what === "more") {
    const predicted = forecast?.backends?.find((it) => it.name === name);
    const wanted = await details(backend, measures.backends.get(name), predicted);
    if (wanted?.state) await turn(backend, wanted.state);
    else if (wanted) await change("PATCH", backendPath(name), wanted, `Weight of ${name}: ${wanted.weight}`);
    return;
  }
  await turn(backend, what);
}

/** Share of the requests that nobody takes from a backend by a slip of the hand. */
const HEAVY = 0.6;
const SAID = { drain: "is draining", up: "is brought up", maint: "is in maintenance" };

async function turn(backend, state) {
  const { name } = backend;
  const others = snapshot.backends.filter((it) => it.usable && !it.panic && it.name !== name).length;
  if (state !== "up" && backend.usable) {
    const part = measures.backends.get(name)?.share || 0;
    const asked = state === "drain" ? `Drain ${name}?` : `Take ${name} into maintenance?`;
    const heavy = part > HEAVY ? `It carries ${share(part)} of the requests.` : "It gets no new requests.";
    const why = others ? heavy : "It is the last usable backend: requests will be refused.";
    const risky = !others || part > HEAVY || others * 2 < snapshot.backends.length - 1;
    if ((risky || state === "maint") && !(await dialogs.sure(asked, why, state === "drain" ? "Drain" : "Maintenance")))
      return;
  }
  const undo = state === "up" ? null : () => turn({ ...backend, usable: false }, "up");
  await change("PATCH", backendPath(name), { state }, `${name} ${SAID[state]}`, undo);
}

$("algorithm").addEventListener("click", async () => {
  try {
    const wanted = await dialogs.algorithm(snapshot.algorithm, snapshot.settings || {});
    if (wanted) await change("PUT", "v1/algorithm", wanted, `Requests are now balanced by ${wanted.name}`);
  } catch (error) {
    dialogs.tell(error.message, { hint: error.hint, bad: true });
  }
});

$("reload").addEventListener("click", async () => {
  const why = "What the file says replaces what was changed here: weights, states and the algorithm.";
  if (await dialogs.sure("Read the file again?", why, "Reload"))
    await change("POST", "v1/reload", undefined, "The file was read again");
});

async function hear() {
  for (;;) {
    if (snapshot && !document.hidden) {
      try {
        await link.listen("events", panels.happened, () => {});
      } catch {
        // the poll says that it does not answer
      }
    }
    await new Promise((go) => setTimeout(go, EVERY));
  }
}

/** Look again and again, the more seldom the longer an answer takes. */
async function watch(pause) {
  await new Promise((go) => setTimeout(go, pause));
  const began = performance.now();
  if (!document.hidden) await look();
  watch(Math.max(EVERY, SHARE * (performance.now() - began)));
}

document.addEventListener("visibilitychange", () => document.hidden || look());
look().then(hear);
watch(EVERY / 2); // the second look gives figures
