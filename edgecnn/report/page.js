"use strict";
// Sorts tables by their headers; on a phone, where there are none, by a list of choices.
document.documentElement.classList.add("js");

/** Numbers compare as numbers and text as text; rows without a value stay at the end. */
function compare(a, b, sign) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const x = Number(a), y = Number(b);
  if (Number.isNaN(x) || Number.isNaN(y)) return sign * a.localeCompare(b, "en", { numeric: true });
  return sign * (x - y);
}

function sort(table, column, direction) {
  const body = table.tBodies[0];
  const value = (row) => row.cells[column].dataset.value ?? "";
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...body.rows].sort((a, b) => compare(value(a), value(b), sign));
  body.append(...rows);
  [...table.tHead.rows[0].cells].forEach((cell, index) => {
    if (index === column) cell.setAttribute("aria-sort", direction);
    else cell.removeAttribute("aria-sort");
  });
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      // The first click shows the best first: the most accurate, but the fastest.
      const first = head.dataset.best ?? "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      sort(table, column, head.getAttribute("aria-sort") === first ? other : first);
    });
  });
  const choice = table.parentElement.parentElement.querySelector(".sorter select");
  choice?.addEventListener("change", () => {
    const head = heads[Number(choice.value)];
    sort(table, Number(choice.value), head.dataset.best ?? "ascending");
  });
}

// Paper can't unfold anything.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
