"use strict";
(() => {
  const told = document.getElementById("told");
  const cell = (text) => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  document.getElementById("save").addEventListener("click", () => {
    const fields = [...document.querySelectorAll("input[data-record]")];
    const named = fields.filter((field) => field.value.trim());
    const rows = named.map((field) => [
      field.dataset.record, field.dataset.path, field.dataset.start, field.dataset.end,
      field.value.trim(),
    ]);
    const head = ["record_id", "path", "start_s", "end_s", "label"];
    const text = [head, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = "labels.csv";
    link.click();
    URL.revokeObjectURL(link.href);
    told.textContent = `${named.length} of ${fields.length} sounds have a label`;
  });
})();
