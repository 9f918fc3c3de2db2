// Runs before everything else: makes any later failure visible on the page, and switches the theme.
"use strict";
(() => {
  const root = document.documentElement;
  const problems = [];
  const whenReady = (action) => {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", action, { once: true });
    else action();
  };
  const report = (text) => {
    problems.push(text);
    root.dataset.problems = String(problems.length);
    whenReady(() => {
      const box = document.getElementById("problems");
      box.hidden = false;
      box.textContent = "This page could not be drawn completely: " + problems.join("; ");
    });
  };
  root.dataset.problems = "0";
  // The browser says so where it hands a change of size on in the next frame instead of this one; nothing is missing then.
  const isLate = (event) => /^ResizeObserver loop/.test(event.message ?? "") && !event.error;
  // Capturing, because a resource that fails to load does not bubble.
  window.addEventListener("error", (event) => {
    if (!isLate(event)) report(event.message || "a resource did not load");
  }, true);
  window.addEventListener("unhandledrejection", (event) => report(String(event.reason)));
  document.addEventListener("securitypolicyviolation", (event) =>
    report(event.effectiveDirective + " refused " + (event.blockedURI || "inline content")));

  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const announce = () => document.dispatchEvent(new Event("themechange"));
  system.addEventListener("change", announce);
  whenReady(() => {
    document.getElementById("theme").addEventListener("click", () => {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
      root.dataset.theme = dark ? "light" : "dark";
      announce();
    });
  });
})();
