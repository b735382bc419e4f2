// Applies the chosen theme before anything is drawn. "auto" leaves it to the system.
(() => {
  const KEY = "theme";
  const root = document.documentElement;

  function apply(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  }

  function read() {
    try { return localStorage.getItem(KEY) ?? "auto"; } catch { return "auto"; }
  }

  apply(read());
  document.addEventListener("DOMContentLoaded", () => {
    const choice = document.getElementById("theme");
    if (!choice) return;
    choice.value = read();
    choice.addEventListener("change", () => {
      try { localStorage.setItem(KEY, choice.value); } catch { /* the choice lasts until the page is left */ }
      apply(choice.value);
      // The charts draw with the theme's colours.
      document.dispatchEvent(new Event("themechange"));
    });
  });
})();
