// Small services to the page: figures are drawn one after the other, the first picture makes way for the widgets, the
// address follows the controls, and looks are repeated only while somebody looks.
(function () {
  "use strict";
  const early = new Map(); // figures of the first picture that are drawn already, by their data
  const drawn = new Set();
  let timer = null, drawing = false, last = "", wanted = "";
  const fitting = new ResizeObserver(function (changes) { // the window is not all that changes a figure's width
    changes.forEach(function (change) {
      const laid = change.target._fullLayout, width = change.contentRect.width;
      if (laid && width && Math.abs(laid.width - width) > 1) Plotly.Plots.resize(change.target);
    });
  });

  // Figures, from the top. One that has been drawn before the widgets came is only moved to its place.
  function draw() {
    const place = window.Plotly && document.querySelector("[data-figure]");
    drawing = Boolean(place);
    if (!place) return;
    const data = place.dataset.figure;
    delete place.dataset.figure;
    drawn.forEach(function (old) { if (!old.isConnected) { fitting.unobserve(old); Plotly.purge(old); drawn.delete(old); } });
    const same = early.get(data);
    if (same && !place.closest("#first")) {
      early.delete(data);
      place.replaceWith(same);
      drawn.add(same);
      return draw();
    }
    const figure = JSON.parse(data);
    Plotly.newPlot(place, figure.data, figure.layout, { displayModeBar: false });
    fitting.observe(place);
    if (place.closest("#first")) early.set(data, place); else drawn.add(place);
    setTimeout(draw, 0);
  }

  function arrive() {
    const first = document.getElementById("first");
    if (!first || !document.querySelector("main .jupyter-widgets h1")) return;
    first.remove();
    document.querySelectorAll("main [data-figure]").forEach(function (place) { // before anything is painted
      if (early.has(place.dataset.figure)) draw();
    });
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target) target.focus();
  }

  function again() {
    const button = document.querySelector(".look-again");
    if (button) button.click();
  }

  function follow(state) {
    const query = state.dataset.query || "?";
    if (query !== (location.search || "?")) {
      history.replaceState(null, "", location.pathname + (query === "?" ? "" : query) + location.hash);
    }
    document.title = state.dataset.title || document.title;
    clearInterval(timer);
    const seconds = Number(state.dataset.refresh);
    if (seconds >= 2) timer = setInterval(function () { if (!document.hidden) again(); }, seconds * 1000);
    if ("rest" in state.dataset) setTimeout(again, 0); // the page is there: the kernel may fill the rest of it
  }

  // The field may come later than the link that was followed.
  function fillIn() {
    const field = wanted && document.querySelector(".row-id input");
    if (!field) return;
    field.value = wanted;
    wanted = "";
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }

  // A link to a part of the page moves the keyboard focus there too; a link to a prediction fills in its id.
  document.addEventListener("click", function (event) {
    const link = event.target.closest && event.target.closest("a[href^='#']");
    if (!link) return;
    if (link.dataset.row) { wanted = link.dataset.row; fillIn(); }
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

  function changed() {
    arrive();
    nameSliders();
    fillIn();
    if (!drawing) draw();
    const state = document.getElementById("state");
    if (state && state.outerHTML !== last) { last = state.outerHTML; follow(state); }
  }
  new MutationObserver(changed).observe(document.body, { childList: true, subtree: true });
  document.getElementById("plotly").addEventListener("load", changed);
})();
