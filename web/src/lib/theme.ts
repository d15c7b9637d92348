export type Theme = "light" | "dark";
const KEY = "moviola-theme";
const asked = matchMedia("(prefers-color-scheme: dark)");

const chosen = (): Theme | null => {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : null;
  } catch {
    return null;
  }
};

export const theme = (): Theme => chosen() ?? (asked.matches ? "dark" : "light");

export function applyTheme(): void {
  document.documentElement.dataset["theme"] = theme();
  dispatchEvent(new Event("themechange"));
}

export function switchTheme(): void {
  const next: Theme = theme() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Without storage the choice lasts as long as the page does not: there is nowhere to keep it.
  }
  document.documentElement.dataset["theme"] = next;
  dispatchEvent(new Event("themechange"));
}

asked.addEventListener("change", applyTheme);
