(() => {
  "use strict";
  const samples = Array.from(document.querySelectorAll(".sample"));
  const controls = document.getElementById("controls");
  if (!controls) return;
  const category = document.getElementById("category");
  const search = document.getElementById("search");
  const count = document.getElementById("count");
  const texts = new Map();

  const textOf = (sample) => {
    if (!texts.has(sample)) {
      const parts = Array.from(sample.querySelectorAll(".u"), (part) => part.textContent);
      texts.set(sample, parts.join("\n").toLowerCase());
    }
    return texts.get(sample);
  };
  const matches = (sample, status, wanted, query) =>
    (status === "all" || sample.dataset.status.split(" ").includes(status))
    && (wanted === null || sample.dataset.category === wanted)
    && (query === "" || textOf(sample).includes(query));
  const update = () => {
    const status = controls.querySelector("input[name=status]:checked").value;
    const wanted = category && category.selectedIndex > 0 ? category.value : null;
    const query = search.value.trim().toLowerCase();
    let shown = 0;
    for (const sample of samples) {
      sample.hidden = !matches(sample, status, wanted, query);
      if (!sample.hidden) shown += 1;
    }
    count.textContent = `${shown} of ${samples.length} shown`;
    document.getElementById("none").hidden = shown > 0;
  };
  const setOpen = (open) => {
    for (const sample of samples) if (!sample.hidden) sample.open = open;
  };
  const openLinked = () => {
    const linked = document.getElementById(location.hash.slice(1));
    if (linked && linked.classList.contains("sample")) {
      linked.hidden = false;
      linked.open = true;
      linked.scrollIntoView();
    }
  };

  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(update, 120);
  });
  controls.addEventListener("change", update);
  controls.addEventListener("submit", (event) => { event.preventDefault(); update(); });
  document.getElementById("open-all").addEventListener("click", () => setOpen(true));
  document.getElementById("close-all").addEventListener("click", () => setOpen(false));
  window.addEventListener("hashchange", openLinked);
  for (const element of document.querySelectorAll("[data-scripted]")) element.hidden = false;
  update();
  openLinked();
})();
