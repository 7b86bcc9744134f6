"use strict";
// Light or dark: as the system has it, until the reader chooses.
{
  const button = document.getElementById("scheme");
  if (button) {
    const root = document.documentElement;
    const system = matchMedia("(prefers-color-scheme: dark)");
    const dark = () => (root.dataset.scheme ? root.dataset.scheme === "dark" : system.matches);
    const tell = () => (button.textContent = dark() ? "light page" : "dark page");
    button.addEventListener("click", () => {
      root.dataset.scheme = dark() ? "light" : "dark";
      tell();
    });
    system.addEventListener("change", tell);
    button.hidden = false;
    tell();
  }
}
