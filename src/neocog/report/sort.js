// A heading sorts its table; rows without a value stay last.
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
