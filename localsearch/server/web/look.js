// Dark or light: as the system has it, or as was chosen on this device.

const KEPT = "localsearch-theme";

export const currentTheme = () => localStorage.getItem(KEPT) || "system";

export function setTheme(name) {
  if (name === "system") {
    localStorage.removeItem(KEPT);
    delete document.documentElement.dataset.theme;
    return;
  }
  document.documentElement.dataset.theme = name;
  localStorage.setItem(KEPT, name);
}

export function switchTheme() {
  const dark = getComputedStyle(document.documentElement).getPropertyValue("--scheme").trim() === "dark";
  setTheme(dark ? "light" : "dark");
}
