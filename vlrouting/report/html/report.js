"use strict";
// Sorting of the table of variants, and the browser of test examples. Texts of models and data sets only ever become
// text nodes.

const PAGE = 12;

function sortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
    const before = heading.getAttribute("aria-sort");
    const first = "descending" in heading.dataset ? "descending" : "ascending";
    const then = first === "ascending" ? "descending" : "ascending";
    const direction = before === first ? then : first;
    headings.forEach(other => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((a, b) => compare(a.cells[column], b.cells[column], sign));
    body.append(...rows);
  }));
}

function compare(a, b, sign) {
  const [left, right] = [a.dataset.order, b.dataset.order];
  if (left === undefined || right === undefined) return (left === undefined) - (right === undefined); // last
  const difference = Number(left) - Number(right);
  return sign * (Number.isNaN(difference) ? left.localeCompare(right, "en", { numeric: true }) : difference);
}

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function browse(data) {
  const form = document.getElementById("filters");
  const cards = document.getElementById("cards");
  const [previous, next] = ["previous", "next"].map(id => document.getElementById(id));
  data.examples.forEach(prepare);
  let found = [];
  let page = 0;

  function show(number) {
    page = number;
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    cards.replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(example => card(example, data)));
    document.getElementById("page").textContent = `Page ${page + 1} of ${pages}`;
    previous.disabled = page === 0;
    next.disabled = page + 1 >= pages;
  }

  function filter() {
    const wanted = Object.fromEntries(new FormData(form));
    found = data.examples.filter(example => fits(example, wanted));
    sort(found, wanted);
    document.getElementById("count").textContent = `${found.length.toLocaleString("en")} of ${data.examples.length.toLocaleString("en")} shown examples fit`;
    show(0);
  }

  function turn(number) {
    show(number);
    form.scrollIntoView();
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  previous.addEventListener("click", () => turn(page - 1));
  next.addEventListener("click", () => turn(page + 1));
  filter();
}

function prepare(example, place) {
  const outputs = example.outputs.filter(Boolean);
  const texts = outputs.map(output => output.text);
  const scores = outputs.map(output => output.score).filter(score => score !== null);
  example.place = place;
  example.words = [example.id, example.question, ...example.references.map(pair => pair[0]), ...texts].join("\n").toLowerCase();
  example.differs = new Set(texts.map(text => text.toLowerCase().split(/\s+/).filter(Boolean).join(" "))).size > 1;
  example.split = new Set(outputs.map(output => output.right).filter(right => right !== null)).size > 1;
  example.spread = scores.length ? Math.max(...scores) - Math.min(...scores) : -1;
  example.mean = scores.length ? scores.reduce((a, b) => a + b) / scores.length : null;
}

function fits(example, wanted) {
  if (wanted.text && !example.words.includes(wanted.text.toLowerCase().trim())) return false;
  if (wanted.result) {
    const asked = wanted.variant ? [example.outputs[wanted.variant]] : example.outputs;
    if (!asked.some(output => output && output.right === (wanted.result === "right"))) return false;
  }
  if (wanted.agreement === "differ" && !example.differs) return false;
  if (wanted.agreement === "same" && example.differs) return false;
  if (wanted.agreement === "split" && !example.split) return false;
  return Object.entries(wanted).every(([name, value]) =>
    !name.startsWith("kind-") || !value || example.kinds[name.slice(5)] === value);
}

function sort(examples, wanted) {
  const scored = example => {
    const output = wanted.variant ? example.outputs[wanted.variant] : null;
    return wanted.variant ? (output ? output.score : null) : example.mean;
  };
  const last = (value, sign) => value === null ? Infinity : sign * value;
  const orders = {
    spread: (a, b) => b.spread - a.spread,
    worst: (a, b) => last(scored(a), 1) - last(scored(b), 1),
    best: (a, b) => last(scored(a), -1) - last(scored(b), -1),
    id: (a, b) => a.id.localeCompare(b.id, "en", { numeric: true }),
  };
  if (wanted.order) examples.sort((a, b) => orders[wanted.order](a, b) || a.place - b.place);
}

function card(example, data) {
  const pictures = element("div", "pictures", ...example.images.map(number => picture(data.images[number])));
  const text = element("div", "text");
  if (example.question) text.append(element("p", "question", example.question));
  text.append(references(example));
  const table = element("table", "outputs");
  example.outputs.forEach((output, place) => {
    const cell = element("td", "");
    if (output) fill(cell, output, data.variants[place]);
    else cell.append(element("small", "", "not in its test set"));
    const name = element("th", "", data.variants[place].label);
    name.scope = "row";
    table.append(element("tr", "", name, cell));
  });
  text.append(table, element("p", "id", ["id " + example.id, ...Object.values(example.kinds)].join(" · ")));
  const made = element("article", "card", pictures, text);
  made.setAttribute("aria-label", example.question || "Test example " + example.id);
  return made;
}

function picture(image) {
  if (image.uri === null) return element("div", "absent", image.name);
  const made = element("img", "");
  made.alt = "Test image " + image.name;
  made.src = image.uri;
  return made;
}

function references(example) {
  const repeated = (text, count) => count > 1 ? `${text} (${count}×)` : text;
  const list = example.references.map(pair => repeated(...pair));
  if (example.question) return element("p", "references", "Reference: " + (list.join(", ") || "none"));
  return element("div", "references", "References:", element("ul", "", ...list.map(text => element("li", "", text))));
}

function fill(cell, output, variant) {
  if (output.right !== null) {
    cell.className = output.right ? "right" : "wrong";
    cell.append(element("span", "", output.text || "(nothing)"));
    cell.querySelector("span").title = output.right ? "right" : "wrong";
  } else {
    cell.append(output.text || "(nothing)");
  }
  const notes = [];
  if (output.score !== null && !(output.right !== null && (output.score === 0 || output.score === 100))) notes.push(output.score.toFixed(1));
  const mixed = output.rightSeeds !== null && output.rightSeeds !== (output.right ? variant.seeds : 0);
  if (mixed) notes.push(`right in ${output.rightSeeds} of ${variant.seeds} seeds`);
  if (notes.length) cell.append(element("small", "", " " + notes.join(", ")));
}

document.querySelectorAll("table.variants").forEach(sortable);
const data = document.getElementById("data");
if (data) browse(JSON.parse(data.textContent));
window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(part => { part.open = true; }));
