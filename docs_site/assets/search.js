// Filters the catalogue while somebody types: every word has to occur in a table's name, columns or descriptions.
const field = document.querySelector("#search");
const found = document.querySelector("#found");
const entries = [...document.querySelectorAll("[data-words]")];
const groups = [...document.querySelectorAll("[data-group]")];
const search = () => {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const entry of entries) {
    entry.hidden = !words.every((word) => entry.dataset.words.includes(word));
    if (!entry.hidden) count += 1;
  }
  for (const group of groups) group.hidden = !group.querySelector("[data-words]:not([hidden])");
  found.textContent = words.length ? `${count} of ${entries.length} tables` : "";
};
field.addEventListener("input", search);
field.closest("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const first = document.querySelector("[data-words]:not([hidden]) a");
  if (field.value && first) first.click();
});
search();
