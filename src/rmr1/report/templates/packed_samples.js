(() => {
  "use strict";
  const PAGE = 100;
  const BLOCK = Number(document.getElementById("samples-list").dataset.block);
  const list = document.getElementById("samples-list");
  const controls = document.getElementById("controls");
  const category = document.getElementById("category");
  const search = document.getElementById("search");
  const count = document.getElementById("count");
  const none = document.getElementById("none");
  const pager = document.getElementById("pager");
  const range = document.getElementById("range");
  const before = document.getElementById("before");
  const after = document.getElementById("after");
  const packed = Array.from(document.querySelectorAll("script.block"));
  const texts = new Map();
  const recent = new Map();
  let index = [];
  let matching = [];
  let first = 0;
  let latest = 0;

  const unpack = async (element) => {
    const raw = atob(element.textContent.trim());
    const bytes = new Uint8Array(raw.length);
    for (let place = 0; place < raw.length; place += 1) bytes[place] = raw.charCodeAt(place);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };
  const block = async (number) => {
    if (!recent.has(number)) {
      recent.set(number, unpack(packed[number]));
      if (recent.size > 8) recent.delete(recent.keys().next().value);
    }
    return recent.get(number);
  };
  const textsOf = async (number) => {
    if (!texts.has(number)) texts.set(number, (await unpack(packed[number])).map((row) => row[1].toLowerCase()));
    return texts.get(number);
  };

  // The markup was made with every text escaped, and the page's policy lets no script in it run and nothing load.
  const insert = (element, markup) => { element.innerHTML = markup; };
  const fill = async (sample, number) => {
    const body = sample.querySelector(".body");
    if (!body.classList.contains("waiting")) return;
    const rows = await block(Math.floor(number / BLOCK));
    insert(body, rows[number % BLOCK][0]);
    body.classList.remove("waiting");
  };
  const row = (number) => {
    const sample = document.createElement("details");
    sample.className = "sample";
    sample.id = `sample-${number + 1}`;
    const line = document.createElement("summary");
    insert(line, index[number][2]);
    const body = document.createElement("div");
    body.className = "body waiting";
    body.textContent = "unpacking";
    sample.append(line, body);
    sample.addEventListener("toggle", () => { if (sample.open) fill(sample, number); });
    return sample;
  };
  const show = (start) => {
    first = Math.max(0, Math.min(start, Math.floor((matching.length - 1) / PAGE) * PAGE));
    const shown = matching.slice(first, first + PAGE);
    list.replaceChildren(...shown.map(row));
    none.hidden = matching.length > 0;
    pager.hidden = matching.length <= PAGE;
    before.disabled = first === 0;
    after.disabled = first + PAGE >= matching.length;
    range.textContent = `${first + 1} to ${first + shown.length}`;
  };
  const tell = (word) => { count.textContent = `${matching.length.toLocaleString("en")} of ${index.length.toLocaleString("en")} ${word}`; };

  const chosen = (number, status, wanted) => {
    const [passes, subset] = index[number];
    return (status === "all" || passes.split(" ").includes(status))
      && (wanted === null || subset === wanted);
  };
  const found = async (numbers, query, turn) => {
    const kept = [];
    for (let start = 0; start < numbers.length;) {
      const place = Math.floor(numbers[start] / BLOCK);
      const rows = await textsOf(place);
      if (turn !== latest) return null;
      for (; start < numbers.length && Math.floor(numbers[start] / BLOCK) === place; start += 1) {
        if (rows[numbers[start] % BLOCK].includes(query)) kept.push(numbers[start]);
      }
      count.textContent = `searching: ${kept.length.toLocaleString("en")} found in ${start.toLocaleString("en")} of ${numbers.length.toLocaleString("en")}`;
    }
    return kept;
  };
  const update = async () => {
    const turn = latest += 1;
    const status = controls.querySelector("input[name=status]:checked").value;
    const wanted = category && category.selectedIndex > 0 ? category.value : null;
    const query = search.value.trim().toLowerCase();
    let numbers = Array.from(index.keys()).filter((number) => chosen(number, status, wanted));
    if (query !== "") numbers = await found(numbers, query, turn);
    if (numbers === null) return;
    matching = numbers;
    show(0);
    tell("match");
  };
  const openLinked = async () => {
    const linked = /^#sample-(\d+)$/.exec(location.hash);
    const number = linked ? Number(linked[1]) - 1 : -1;
    if (number < 0 || number >= index.length) return;
    if (!matching.includes(number)) {
      controls.reset();
      await update();
    }
    show(Math.floor(matching.indexOf(number) / PAGE) * PAGE);
    const sample = document.getElementById(`sample-${number + 1}`);
    sample.open = true;
    await fill(sample, number);
    sample.scrollIntoView();
  };
  const setOpen = (open) => {
    for (const sample of list.children) sample.open = open;
  };
  const turn = (start) => {
    show(start);
    controls.scrollIntoView();
  };

  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(update, 200);
  });
  controls.addEventListener("change", (event) => { if (event.target !== search) update(); });
  controls.addEventListener("submit", (event) => { event.preventDefault(); update(); });
  before.addEventListener("click", () => turn(first - PAGE));
  after.addEventListener("click", () => turn(first + PAGE));
  document.getElementById("open-all").addEventListener("click", () => setOpen(true));
  document.getElementById("close-all").addEventListener("click", () => setOpen(false));
  window.addEventListener("hashchange", openLinked);
  unpack(document.getElementById("index")).then(async (rows) => {
    index = rows;
    for (const element of document.querySelectorAll("[data-scripted]")) element.hidden = false;
    await update();
    await openLinked();
  });
})();
