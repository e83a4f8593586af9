"use strict";
// A press on a column's heading sorts the table by it, within each group of rows; the next one
// turns the order round. Values in brackets stay behind the others, missing ones behind all.

const RANKED = 0, BRACKETED = 1, MISSING = 2;

for (const table of document.querySelectorAll("main table")) {
  for (const heading of table.tHead.lastElementChild.cells) {
    if (heading.textContent.trim()) addButton(table, heading);
  }
}

function addButton(table, heading) {
  const button = document.createElement("button");
  button.type = "button";
  button.title = "Sort by this column";
  button.append(...heading.childNodes);
  button.addEventListener("click", () => sort(table, heading));
  heading.append(button);
}

function sort(table, heading) {
  const falling = heading.getAttribute("aria-sort") === "ascending";
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
    const keys = new Map(rows.map((row) => [row, key(row.cells[heading.cellIndex])]));
    rows.sort((a, b) => order(keys.get(a), keys.get(b), falling ? -1 : 1));
    body.append(...rows);
  }
}

function key(cell) {
  const text = cell.textContent.trim().replaceAll("\u2212", "-").replaceAll(",", "");
  const number = Number.parseFloat(text.replace(/^[(<\u2264\s]+/, ""));
  const rank = text === "" || text === "\u2013" ? MISSING : text.startsWith("(") ? BRACKETED : RANKED;
  return { rank, number, text };
}

function order(a, b, direction) {
  if (a.rank !== b.rank) return a.rank - b.rank;
  const numbers = Number.isFinite(a.number) && Number.isFinite(b.number);
  const gap = numbers ? a.number - b.number : a.text.localeCompare(b.text, "en", { numeric: true });
  return direction * gap;
}
