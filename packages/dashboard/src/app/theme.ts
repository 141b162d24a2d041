export const themes = ['auto', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]
const place = 'lilypad.theme'

/** What the reader chose before; `auto` follows the system. */
export function readTheme(): Theme {
  try {
    const kept = localStorage.getItem(place)
    return themes.find((theme) => theme === kept) ?? 'auto'
  } catch {
    return 'auto'
  }
}

export function applyTheme(theme: Theme): void {
  if (theme === 'auto') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
  try {
    localStorage.setItem(place, theme)
  } catch {
    // Then it lasts as long as the page.
  }
}
