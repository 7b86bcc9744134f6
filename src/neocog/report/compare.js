// Any two models side by side, from the facts that the chapter brings along.
{
  const facts = JSON.parse(document.getElementById("pairs")?.textContent ?? "null");
  const panel = document.querySelector(".any-two");
  const EXAMPLES = 12;
  const points = (share) => `${share < -5e-5 ? "−" : ""}${(100 * Math.abs(share)).toFixed(2)}`;
  const told = (p) => (p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(3)}`);

  function pair(a, b) {
    const [i, j, sign] = a < b ? [a, b, 1] : [b, a, -1];
    const at = (table) => table[i][j - i - 1];
    const ends = [sign * at(facts.low), sign * at(facts.high)];
    const difference = facts.wins ? (facts.wins[a][b] - facts.wins[b][a]) / facts.images : sign * at(facts.difference);
    return { difference, low: Math.min(...ends), high: Math.max(...ends), p: at(facts.p), holm: at(facts.holm) };
  }

  function sentence(a, b) {
    if (a === b) return "Choose two different models.";
    const { difference, low, high, p, holm } = pair(a, b);
    const [one, other] = [facts.names[a], facts.names[b]];
    const lead = difference === 0 ? `${one} and ${other} are ${facts.wins ? "right equally often" : "level"}` : `${one} is ${points(Math.abs(difference))} points ${difference > 0 ? "ahead of" : "behind"} ${other}`;
    const sure = holm < 0.05 ? "That is beyond chance" : p < 0.05 ? "That is beyond chance if it is the only question asked" : "That may be chance";
    return `${lead} (95 % interval ${points(low)} to ${points(high)}). ${sure}: ${told(p)}, corrected for all ${facts.comparisons.toLocaleString("en")} comparisons ${told(holm)}.`;
  }

  function difference([, better, isShare], first, second) {
    if (first === null || second === null) return ["–", ""];
    const side = better && first !== second ? (better * (first - second) > 0 ? "one" : "other") : "";
    if (first === second) return ["same", side];
    if (isShare) return [`${first > second ? "+" : ""}${points(first - second)} points`, side];
    return [second ? `× ${(first / second).toPrecision(3)}` : "–", side];
  }

  function table(a, b) {
    const view = panel.querySelector("table");
    const heads = view.tHead.rows[0].cells;
    [heads[1].textContent, heads[2].textContent] = [facts.names[a], facts.names[b]];
    view.tBodies[0].replaceChildren();
    facts.scores.forEach((score, k) => {
      const [gap, side] = difference(score, facts.values[a][k], facts.values[b][k]);
      const row = view.tBodies[0].insertRow();
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = score[0];
      row.append(head);
      [facts.told[a][k], facts.told[b][k], gap].forEach((words, cell) => {
        const made = row.insertCell();
        made.textContent = words;
        made.classList.toggle("best", (cell === 0 && side === "one") || (cell === 1 && side === "other"));
      });
    });
  }

  function tile(number, words) {
    const { side, columns } = facts.sheet;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    canvas.role = "img";
    canvas.ariaLabel = words;
    const from = [(number % columns) * side, Math.floor(number / columns) * side];
    canvas.getContext("2d").drawImage(document.getElementById("contested"), ...from, side, side, 0, 0, side, side);
    return canvas;
  }

  function examples(place, a, b) {
    if (!facts.wins) return;
    const only = facts.wins[a][b];
    place.querySelector("h3").textContent = `Only ${facts.names[a]} is right: ${only.toLocaleString("en")} images`;
    const list = place.querySelector("ul");
    list.replaceChildren();
    if (!facts.sheet || a === b) return;
    const { labels, ids, said, right } = facts.sheet;
    const shown = labels.map((_, number) => number).filter((n) => right[a][n] && !right[b][n]);
    for (const number of shown.slice(0, EXAMPLES)) {
      const [actual, taken] = [facts.words[labels[number]], facts.words[said[b][number]]];
      const item = document.createElement("li");
      item.title = ids[number];
      const label = document.createElement("b");
      label.textContent = actual;
      const wrong = document.createElement("span");
      wrong.textContent = `${facts.names[b]}: ${taken}`;
      item.append(tile(number, `true ${actual}, predicted ${taken} by ${facts.names[b]}`), label, wrong);
      list.append(item);
    }
  }

  if (facts && panel) {
    const selects = ["one", "other"].map((which) => document.getElementById(`duel-${which}`));
    const cells = [...document.querySelectorAll("svg .duel")];
    const show = () => {
      const [a, b] = selects.map((select) => Number(select.value));
      panel.querySelector(".verdict").textContent = sentence(a, b);
      table(a, b);
      const places = panel.querySelectorAll(".only");
      examples(places[0], a, b);
      examples(places[1], b, a);
      const chosen = `${Math.min(a, b)},${Math.max(a, b)}`;
      for (const cell of cells) cell.classList.toggle("picked", cell.dataset.pair === chosen);
    };
    const duel = (a, b) => {
      [selects[0].value, selects[1].value] = [a, b];
      show();
    };
    for (const select of selects) select.addEventListener("change", show);
    for (const cell of cells) {
      const [a, b] = cell.dataset.pair.split(",").map(Number);
      const words = () => `${facts.names[a]} against ${facts.names[b]}: ${sentence(a, b)}`;
      explain(cell, words, () => duel(a, b), { keyboard: false }); // hundreds of stops; the lists do the same
    }
    document.addEventListener("picked", ({ detail }) => {
      const a = facts.models.indexOf(detail);
      if (a >= 0 && a !== Number(selects[1].value)) duel(a, Number(selects[1].value));
    });
    panel.hidden = false;
    const sheet = document.getElementById("contested");
    if (sheet && !sheet.complete) sheet.addEventListener("load", show);
    show();
  }
}
