// What other algorithms would have given, and why the last picks fell as they did.

import { $, el, text } from "./elements.js";
import * as link from "./link.js";
import { counted, figure, seconds, share, span } from "./words.js";

const FIGURES = ["mean", "p50", "p95", "p99"];
const told = (ms) => seconds(ms === null || ms === undefined ? null : ms / 1e3);

function row(name, of, error) {
  const cells = FIGURES.map((key) => {
    const between = of.intervals_ms?.[key];
    const cell = el("td", {}, told(of[`${key}_ms`]));
    if (between) cell.title = `95 %: ${told(between[0])} to ${told(between[1])}`;
    if (error?.[key] !== undefined && error[key] !== null)
      cell.append(el("small", {}, ` ${error[key] > 0 ? "+" : ""}${figure(100 * error[key])} %`));
    return cell;
  });
  return el("tr", {}, el("th", { scope: "row" }, name), ...cells, el("td", {}, share(of.failed)));
}

/** `shadow` is that of the snapshot; nothing where nobody has asked for one. */
export function shadow(shadow) {
  $("shadow").hidden = !shadow;
  if (!shadow) return;
  const ready = Boolean(shadow.candidates);
  const rows = ready
    ? [
        row(`${shadow.running}, measured`, shadow.measured),
        row(`${shadow.running}, modelled`, shadow.model, shadow.model_error),
        ...shadow.candidates.map((it) => row(it.algorithm, it)),
      ]
    : [];
  $("shadow-rows").replaceChildren(...rows);
  $("shadow").querySelector("table").hidden = !ready;
  const of = ready
    ? `of the last ${counted(shadow.requests, "request")} in ${span(shadow.window_s)}, ${span(shadow.age_s)} ago`
    : shadow.reason || shadow.state;
  text($("shadow-of"), of);
}

const BETTER = { lowest: 1, highest: -1 };
const SHOWN = 6;

function candidates(pick) {
  const sign = BETTER[pick.rule];
  const found = [...pick.candidates];
  const size = (it) => (it.figure === null ? Infinity : it.figure);
  if (sign) found.sort((a, b) => sign * (size(a) - size(b)));
  if (!pick.measure && found.length < 2) return ""; // it is the one that was picked
  const names = found.slice(0, SHOWN).map((it) => (pick.measure ? `${it.backend} ${figure(it.figure)}` : it.backend));
  if (found.length > SHOWN) names.push(`${found.length - SHOWN} more`);
  return names.join(", ");
}

/** Ask for the last picks, which are watched for a minute from then on. */
async function explain() {
  const list = $("picks");
  let found;
  try {
    found = (await link.get("v1/picks?last=20")).picks;
  } catch (error) {
    list.replaceChildren(el("li", { class: "none" }, error.message));
    return;
  }
  const rows = found.map((pick) => {
    const line = el("li", {});
    const what = el("div", {}, el("b", {}, pick.backend || "nobody"), el("span", {}, ` ${pick.why}`));
    const beside = [pick.measure, candidates(pick)].filter(Boolean).join(": ");
    if (beside) what.append(el("span", { class: "figures" }, beside));
    if (pick.avoided.length) what.append(el("span", { class: "figures" }, `tried before: ${pick.avoided.join(", ")}`));
    line.append(el("time", {}, `${figure(pick.seconds_ago)} s ago`), el("i"), what);
    return line;
  });
  const none = el("li", { class: "none" }, "None yet; from now on they are watched for a minute.");
  list.replaceChildren(...(rows.length ? rows : [none]));
}

$("explain").addEventListener("click", explain);
