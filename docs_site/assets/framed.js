// Shows in the frame what stands behind the page's `#`: a page below the framed one's folder, or a place in it.
const frame = document.querySelector("iframe");
const show = () => {
  const wanted = location.hash.slice(1);
  if (!wanted) return;
  const source = frame.dataset.source;
  const target = wanted.startsWith("!") ? `${source}#${wanted}` : source.replace("index.html", wanted);
  // Nothing but the docs' own pages, whatever somebody puts into a link.
  const folder = new URL(source.replace("index.html", ""), location.href).href;
  if (new URL(target, location.href).href.startsWith(folder)) frame.src = target;
};
addEventListener("hashchange", show);
show();
