// A picker shows one panel at a time. Those of models move together, with the marks and rows of the model.
const pickers = [...document.querySelectorAll(".picker select")];
const optionOf = (picker, model) => [...picker.options].find((option) => option.dataset.model === model);

function showPanel(picker) {
  for (const option of picker.options) {
    const panel = document.getElementById(option.value);
    panel.hidden = !option.selected;
  }
}

function pick(model) {
  for (const picker of pickers) {
    const option = optionOf(picker, model);
    if (option) {
      option.selected = true;
      showPanel(picker);
    }
  }
  for (const part of document.querySelectorAll("tr[data-model], svg [data-model]")) {
    part.classList.toggle("picked", part.dataset.model === model);
  }
  document.dispatchEvent(new CustomEvent("picked", { detail: model }));
}

for (const picker of pickers) {
  picker.closest(".picker").hidden = picker.options.length < 2;
  picker.addEventListener("change", () => {
    const { model } = picker.selectedOptions[0].dataset;
    if (model) pick(model);
    else showPanel(picker);
  });
  showPanel(picker);
}
for (const link of document.querySelectorAll("a[data-pick]")) {
  link.addEventListener("click", () => pick(link.dataset.pick));
}
