// Kinds that are not wanted leave the leaderboard and pale in the charts.
for (const box of document.querySelectorAll(".kinds")) {
  const choices = [...box.querySelectorAll("input")];
  const rows = [...document.querySelectorAll("#leaders tbody tr")];
  const filter = () => {
    const wanted = new Set(choices.filter((choice) => choice.checked).map((choice) => choice.value));
    for (const row of rows) row.hidden = !wanted.has(row.dataset.kind);
    for (const mark of document.querySelectorAll("#price [data-kind]")) mark.classList.toggle("out", !wanted.has(mark.dataset.kind));
    box.querySelector("output").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} models`;
  };
  box.addEventListener("change", filter);
  box.hidden = false;
  filter();
}
