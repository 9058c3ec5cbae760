// One backend in full, and what may be done with it.

import { open } from "./dialogs.js";
import { el } from "./elements.js";
import { count, figure, plain, seconds, share, span } from "./words.js";

function facts(backend, lane, predicted) {
  const checks = backend.checks
    ? `${count(backend.checks)}, of which ${count(backend.checks_failed)} failed; last ${span(backend.last_health_check)} ago`
    : "none yet";
  const rows = [
    ["Address", backend.address],
    ["State", `${plain(backend.state)}${backend.usable ? "" : ", not used"}`],
    ["Last check said", backend.reason || "–"],
    ["Last change", backend.last_change === null ? "–" : `${span(backend.last_change)} ago: ${backend.change_reason}`],
    ["Checks", checks],
    ["Ejections", backend.ejected ? `${backend.ejections}; ${span(backend.ejected_for)} left` : count(backend.ejections)],
    ["Share", `${share(lane.share)}${predicted ? `, predicted ${share(predicted.share)}` : ""}`],
    ["Requests per second", figure(lane.rate)],
    ...(predicted ? [["Predicted utilisation", share(predicted.utilisation)]] : []),
    ["Latency", `${seconds(lane.latency)} on average, ${seconds(backend.response_time_ms === null ? null : backend.response_time_ms / 1e3)} to the first byte`],
    ["In flight", `${count(backend.connections)}${backend.max_in_flight === null ? "" : ` of ${count(backend.max_in_flight)}`}`],
    ["Attempts", `${count(backend.picked)}: ${count(backend.succeeded)} well, ${count(backend.failed)} failed, ${count(backend.gone)} left by their client, ${count(backend.cancelled)} ended from here`],
    ["Weight", backend.weight === backend.effective_weight ? figure(backend.weight) : `${figure(backend.weight)}, in effect ${figure(backend.effective_weight)}`],
  ];
  if (backend.zone) rows.push(["Zone", backend.zone]);
  if (backend.priority) rows.push(["Priority", String(backend.priority)]);
  const list = el("dl", { class: "facts" });
  for (const [name, value] of rows) list.append(el("dt", {}, name), el("dd", {}, value));
  return list;
}

/** What is to be changed: {state} or {weight}; null for nothing. */
export function details(backend, lane, predicted) {
  let wanted = null;
  const close = (change) => () => {
    wanted = change;
    document.getElementById("dialog").close();
  };
  const button = (name, state) =>
    el("button", { type: "button", "data-act": state, onclick: close({ state }) }, name);
  const weight = el("input", { name: "weight", type: "number", min: "0", step: "any", value: String(backend.weight) });
  const states = el("div", { class: "row" });
  if (backend.state !== "drain") states.append(button("Drain", "drain"));
  if (backend.state !== "maint") states.append(button("Maintenance", "maint"));
  if (["drain", "maint"].includes(backend.state) || backend.state === "down")
    states.append(button("Bring up", "up"));
  const content = [facts(backend, lane, predicted), states];
  content.push(
    el("div", { class: "row" }, el("label", {}, "Weight", weight), el("button", { type: "submit" }, "Set weight")),
  );
  const read = () => {
    const value = weight.value.trim();
    return value === "" || Number(value) === backend.weight ? null : { weight: Number(value) };
  };
  return open(backend.name, content, { no: "Close", read }).then((sent) => wanted || sent);
}
