// What is asked before something happens, and what is said afterwards.

import { $, el, text } from "./elements.js";
import { get } from "./link.js";

/** Say something for a while; errors stay until they are sent away. */
export function tell(message, { hint = "", bad = false, undo = null } = {}) {
  const note = el("div", { class: bad ? "bad" : "" }, el("p", {}, message));
  if (hint) note.firstChild.append(el("small", {}, hint));
  const away = () => note.remove();
  if (undo) {
    const back = () => {
      away();
      undo();
    };
    note.append(el("button", { type: "button", onclick: back }, "Undo"));
  }
  if (bad) note.setAttribute("role", "alert");
  const close = { type: "button", "aria-label": "Dismiss", onclick: away };
  if (bad) note.append(el("button", close, "×"));
  else setTimeout(away, undo ? 9000 : 5000);
  $("told").append(note);
  while ($("told").children.length > 4) $("told").firstChild.remove();
}

/** Show a form; what `read` makes of it when it is sent, null when it is not. */
export function open(title, content, { yes = "", no = "Cancel", danger = false, read = () => true }) {
  const dialog = $("dialog");
  if (dialog.open) dialog.close();
  return new Promise((resolve) => {
    const ends = el("div", { class: "ends" });
    ends.append(el("button", { type: "button", onclick: () => dialog.close() }, no));
    if (yes) ends.append(el("button", { type: "submit", class: danger ? "danger" : "first" }, yes));
    const form = el("form", { novalidate: "" });
    form.append(el("h2", { id: "dialog-title" }, title), ...content, ends);
    let answer = null;
    form.addEventListener("submit", (event) => {
      event.preventDefault(); // the policy allows no form to be sent anywhere
      answer = read(form);
      dialog.close();
    });
    dialog.replaceChildren(form);
    dialog.onclose = () => resolve(answer);
    dialog.onclick = (event) => {
      if (event.target === dialog) dialog.close();
    };
    dialog.showModal();
    (form.querySelector("[autofocus]") || form.querySelector("input, select, .ends button")).focus();
  });
}

/** Whether it is really meant. */
export const sure = (title, why, yes) =>
  open(title, [el("p", {}, why)], { yes, danger: true }).then(Boolean);

/** The token of the admin port; null if nobody has it. */
export function token(wrong) {
  const field = el("input", { type: "password", autocomplete: "off", required: "", name: "token" });
  const words = [
    el("p", {}, "What admin_token_file holds. It is kept until this tab is closed."),
    el("label", {}, "Token", field),
  ];
  if (wrong) words.unshift(el("p", { class: "wrong", role: "alert" }, "That token is not the one."));
  const read = (form) => form.elements.token.value.trim();
  return open("This balancer asks for its token", words, { yes: "Go on", no: "Not now", read });
}

/** Another algorithm with settings, as PUT /v1/algorithm takes it; null to stay. */
export async function algorithm(name, settings) {
  const known = await get("pages/algorithms.json");
  const list = el("select", { name: "name" });
  for (const row of known) list.append(el("option", { value: row.name }, row.name));
  list.value = name;
  const story = el("p");
  const fields = el("div", { class: "fields" });
  const show = () => {
    const row = known.find((it) => it.name === list.value);
    if (!row) return;
    const needs = row.needs.length ? ` Needs ${row.needs.join(", ")}.` : "";
    const idea = row.summary[0].toUpperCase() + row.summary.slice(1);
    text(story, `${idea}. A pick costs ${row.cost}.${needs} Not when ${row.avoid_when}.`);
    const rows = row.settings.map(({ name: key, default: usual, text: why }) => {
      const mine = row.name === name ? settings[key] : undefined;
      const value = mine === undefined ? "" : String(mine);
      const field = el("input", { name: `set-${key}`, placeholder: usual, value, autocomplete: "off" });
      return el("label", {}, key, el("small", {}, why), field);
    });
    fields.replaceChildren(...rows);
  };
  list.addEventListener("change", show);
  show();
  return open("Algorithm", [el("label", {}, "Whom to pick, from the next request on", list), story, fields], {
    yes: "Use it",
    read: (form) => {
      const asked = { name: list.value };
      for (const { name: key, value } of form.elements)
        if (key.startsWith("set-") && value.trim()) asked[key.slice(4)] = value.trim();
      return asked;
    },
  });
}
