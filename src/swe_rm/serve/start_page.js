"use strict";
const SVG = "http://www.w3.org/2000/svg";
const at = (id) => document.getElementById(id);
let chosen = null;

function made(name, text, attributes = {}, space = "http://www.w3.org/1999/xhtml") {
  const node = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== null) node.textContent = text;
  return node;
}

async function ask(path, body, name) {
  const headers = { "Content-Type": "application/octet-stream" };
  if (name) headers["X-File-Name"] = encodeURIComponent(name);
  if (at("token").value) headers.Authorization = "Bearer " + at("token").value;
  const response = await fetch(path, { method: "POST", body, headers });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.type + ": " + answer.error.message);
  return answer;
}

function shown(row) {
  const box = made("section", null);
  box.append(made("h2", row.instance_id + " / " + row.policy + " / " + row.attempt));
  box.append(made("p", "P(resolved) = " + row.score.toFixed(3), { class: "score" }));
  const read = row.prompt_tokens === null ? [] : [row.prompt_tokens + " tokens read, " + row.truncated_tokens + " cut"];
  const flags = row.text_only ? ["text only: no patch is known"] : [];
  box.append(made("p", [...read, ...flags, "by " + row.verifier].join("; ")));
  return box;
}

function drawn(curve) {
  const width = 600, height = 160, pad = 24;
  const last = Math.max(1, curve.n_turns);
  const x = (turn) => pad + ((width - 2 * pad) * turn) / last;
  const y = (score) => height - pad - (height - 2 * pad) * score;
  const svg = made("svg", null, { viewBox: "0 0 " + width + " " + height, role: "img", class: "curve" }, SVG);
  svg.append(made("title", "The score after each turn", {}, SVG));
  for (const score of [0, 0.5, 1]) {
    svg.append(made("line", null, { x1: pad, x2: width - pad, y1: y(score), y2: y(score), class: "grid" }, SVG));
    svg.append(made("text", String(score), { x: 2, y: y(score) + 4 }, SVG));
  }
  const points = curve.steps.map((step) => x(step.turn) + "," + y(step.score)).join(" ");
  svg.append(made("polyline", null, { points, class: "line verifier" }, SVG));
  for (const step of curve.steps) {
    const dot = made("circle", null, { cx: x(step.turn), cy: y(step.score), r: 3, class: "verifier" }, SVG);
    dot.append(made("title", "turn " + step.turn + ": " + step.score.toFixed(3) + "  " + step.did, {}, SVG));
    svg.append(dot);
  }
  return svg;
}

async function judge(event) {
  event.preventDefault();
  const file = chosen || at("file").files[0] || null;
  const body = file || at("text").value;
  const results = at("results");
  results.replaceChildren();
  at("status").textContent = "judging";
  at("judge").disabled = true;
  try {
    const scores = await ask("v1/score", body, file && file.name);
    const boxes = new Map();
    for (const row of scores.verdicts) {
      boxes.set(row.attempt_id, shown(row));
      results.append(boxes.get(row.attempt_id));
    }
    for (const one of scores.refused) results.append(made("p", "refused: " + one.file + " " + one.record + ": " + one.reason));
    for (const one of scores.unscored) results.append(made("p", "not judged: " + one.reason));
    at("status").textContent = "following each turn";
    const followed = await ask("v1/progress?points=40", body, file && file.name);
    for (const curve of followed.attempts) boxes.get(curve.attempt_id)?.append(drawn(curve));
    at("status").textContent = "done";
  } catch (error) {
    at("status").textContent = error.message;
  } finally {
    at("judge").disabled = false;
    chosen = null;
  }
}

const form = at("form");
at("text").addEventListener("input", () => { at("file").value = ""; });
at("file").addEventListener("change", () => { at("text").value = ""; });
form.addEventListener("submit", judge);
form.addEventListener("dragover", (event) => { event.preventDefault(); form.classList.add("over"); });
form.addEventListener("dragleave", () => form.classList.remove("over"));
form.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("over");
  chosen = event.dataTransfer.files[0] || null;
  if (chosen) form.requestSubmit();
});
