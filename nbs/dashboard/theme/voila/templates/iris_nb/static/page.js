// Two small services to the page: the address follows the controls, and looks are repeated only while somebody looks.
(function () {
  "use strict";
  let timer = null;

  function follow(state) {
    const query = state.dataset.query || "?";
    if (query !== (location.search || "?")) {
      history.replaceState(null, "", location.pathname + (query === "?" ? "" : query) + location.hash);
    }
    document.title = state.dataset.title || document.title;
    clearInterval(timer);
    const seconds = Number(state.dataset.refresh);
    if (seconds >= 2) {
      timer = setInterval(function () {
        const again = document.querySelector(".look-again");
        if (again && !document.hidden) again.click();
      }, seconds * 1000);
    }
  }

  // A link to a part of the page moves the keyboard focus there too; a link to a prediction fills in its id.
  document.addEventListener("click", function (event) {
    const link = event.target.closest && event.target.closest("a[href^='#']");
    if (!link) return;
    if (link.dataset.row) {
      const field = document.querySelector(".row-id input");
      if (field) {
        field.value = link.dataset.row;
        field.dispatchEvent(new Event("input", { bubbles: true }));
        field.dispatchEvent(new Event("change", { bubbles: true }));
      }
    }
    const target = document.getElementById(link.getAttribute("href").slice(1));
    if (target) target.focus({ preventScroll: true });
  });

  // The sliders of ipywidgets have no accessible name of their own: give them the text that stands beside them.
  function nameSliders() {
    document.querySelectorAll(".noUi-handle:not([aria-label])").forEach(function (handle) {
      const label = handle.closest(".jupyter-widgets").querySelector("label, .widget-label");
      if (label) handle.setAttribute("aria-label", label.textContent);
    });
  }

  let last = "";
  new MutationObserver(function () {
    nameSliders();
    const state = document.getElementById("state");
    if (state && state.outerHTML !== last) { last = state.outerHTML; follow(state); }
  }).observe(document.body, { childList: true, subtree: true });
})();
