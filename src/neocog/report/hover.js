// What a mark stands for, for the pointer and the keyboard; choosing a mark picks its model.
const tip = document.createElement("div");
tip.className = "tip";
tip.id = "tip";
tip.role = "tooltip";
tip.hidden = true;
document.body.append(tip);

function showTip(part, words) {
  const [name, ...rest] = words.split(": ");
  const strong = document.createElement("b");
  strong.textContent = name;
  tip.replaceChildren(strong, rest.join(": "));
  tip.hidden = false;
  const at = part.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.left + at.width / 2 - tip.offsetWidth / 2, document.documentElement.clientWidth - tip.offsetWidth - 8));
  const above = at.top - tip.offsetHeight - 10;
  tip.style.left = `${left + scrollX}px`;
  tip.style.top = `${(above > 0 ? above : at.bottom + 10) + scrollY}px`;
}

function explain(part, words, choose, { keyboard = true } = {}) {
  if (keyboard) {
    part.setAttribute("tabindex", "0");
    part.setAttribute("role", "button");
    part.setAttribute("aria-label", words());
  }
  for (const event of ["pointerenter", "focus"]) part.addEventListener(event, () => showTip(part, words()));
  for (const event of ["pointerleave", "blur"]) part.addEventListener(event, () => (tip.hidden = true));
  part.addEventListener("click", choose);
  part.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose();
    }
  });
}

for (const mark of document.querySelectorAll("svg .model[data-model]")) {
  const title = mark.querySelector("title");
  const words = title.textContent;
  title.remove(); // or the browser would show it too
  mark.closest("svg").setAttribute("role", "group");
  explain(mark, () => words, () => pick(mark.dataset.model));
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") tip.hidden = true;
});

const told = document.getElementById("picked");
if (told) {
  told.hidden = false;
  document.addEventListener("picked", ({ detail }) => {
    const row = [...document.querySelectorAll("#leaders tr[data-model]")].find((each) => each.dataset.model === detail);
    const strong = document.createElement("b");
    strong.textContent = row.cells[0].dataset.value;
    const parts = [strong, " is picked: "];
    for (const [id, words] of [["trust", "calibration and groups"], ["inside", "filters and maps"], ["look", "errors"]]) {
      if (!document.getElementById(id)) continue;
      const link = document.createElement("a");
      link.href = `#${id}`;
      link.textContent = words;
      if (parts.length > 2) parts.push(" · ");
      parts.push(link);
    }
    told.replaceChildren(...parts);
  });
}
