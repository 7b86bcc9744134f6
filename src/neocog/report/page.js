"use strict";
for (const button of document.querySelectorAll("table.sortable th button")) {
  const head = button.closest("th");
  const body = head.closest("table").tBodies[0];
  const column = head.cellIndex;
  const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  button.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") !== "ascending" : head.dataset.first !== "descending";
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows].map((row) => [key(row), row]);
    const known = ([value]) => value !== "";
    const order = ([a], [b]) => (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b) * (up ? 1 : -1);
    body.append(...[...rows.filter(known).sort(order), ...rows.filter((row) => !known(row))].map(([, row]) => row));
  });
}
for (const picker of document.querySelectorAll(".picker select")) {
  const panels = [...picker.options].map((option) => document.getElementById(option.value));
  const show = () => panels.forEach((panel) => (panel.hidden = panel.id !== picker.value));
  picker.closest(".picker").hidden = panels.length < 2;
  picker.addEventListener("change", show);
  show();
}
document.documentElement.dataset.ready = "yes";
