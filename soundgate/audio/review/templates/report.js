"use strict";
// Tables sort by the button in a column's head: first as the column is read, then the other way.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const first = head.dataset.first || "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = now === first ? other : first;
      const sign = order === "ascending" ? 1 : -1;
      for (const each of heads) if (each.hasAttribute("aria-sort")) each.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", order);
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const rows = [...body.rows];
      rows.sort((a, b) => {
        const x = key(a), y = key(b);
        if (x === "" || y === "") return (x === "") - (y === "");
        const numeric = Number(x) - Number(y);
        return sign * (Number.isNaN(numeric) ? x.localeCompare(y, "en") : numeric);
      });
      body.append(...rows);
    });
  });
}

// A table wider than its frame says so, and fades at the edge until its end is reached.
for (const frame of document.querySelectorAll(".scroll")) {
  const note = document.createElement("p");
  note.className = "soft small sideways";
  note.textContent = "Scroll sideways to see all columns →";
  frame.after(note);
  const look = () => {
    note.hidden = frame.scrollWidth <= frame.clientWidth + 1;
    frame.classList.toggle("more", frame.scrollLeft + frame.clientWidth < frame.scrollWidth - 1);
  };
  frame.addEventListener("scroll", look);
  new ResizeObserver(look).observe(frame);
  look();
}

// Buttons show the clips of one kind.
const filters = [...document.querySelectorAll("[data-filter]")];
const cards = [...document.querySelectorAll(".clip")];
for (const button of filters) {
  button.addEventListener("click", () => {
    const kind = button.dataset.filter;
    for (const each of filters) each.setAttribute("aria-pressed", String(each === button));
    for (const card of cards) {
      card.hidden = kind !== "all" && !card.dataset.reasons.split(" ").includes(kind);
      if (card.hidden) card.querySelector("audio")?.pause();
    }
  });
}
for (const bar of document.querySelectorAll(".filters")) bar.style.visibility = "visible";

// One clip plays at a time, and a line on its pictures shows where.
const players = [...document.querySelectorAll("audio")];
for (const player of players) {
  const pictures = player.closest(".clip").querySelector(".pictures");
  const line = pictures.querySelector(".playhead");
  const move = () => {
    if (player.duration > 0) line.style.left = `${(100 * player.currentTime) / player.duration}%`;
    line.hidden = player.currentTime === 0;
  };
  const follow = () => {
    move();
    if (!player.paused) requestAnimationFrame(follow);
  };
  player.addEventListener("play", () => {
    for (const each of players) if (each !== player) each.pause();
    follow();
  });
  player.addEventListener("timeupdate", move);
  player.addEventListener("seeked", move);
  // The player's own controls do this by keyboard.
  pictures.addEventListener("click", (event) => {
    const box = pictures.getBoundingClientRect();
    if (player.duration > 0) player.currentTime = (player.duration * (event.clientX - box.left)) / box.width;
    player.play();
  });
}
